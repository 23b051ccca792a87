import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { attempt, livePlaces, mutated, seededNumbers } from '../../testing/hostile.ts';
import {
  luks1Disk,
  luks2Disk,
  luks2Metadata,
  PASSPHRASE,
  VOLUME_KEY,
  type Luks2Options,
} from '../../testing/luks-disk.ts';
import { DiskError } from '../disk-error.ts';
import { memorySource, type ByteSource } from '../source/byte-source.ts';
import { readLuks, recogniseLuks, unlockLuks, type UnlockedLuks } from './luks.ts';

const plain = Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 31 + (index >> 8)) & 0xff));

/** What a mutation may make a header ask for, and a test still has time for. */
const SMALL = { iterations: 5000, memoryKib: 64, memoryKibPasses: 256 };

const unlock = (disk: Uint8Array, passphrase: Uint8Array = PASSPHRASE): UnlockedLuks => {
  const source: ByteSource = memorySource(disk);
  return unlockLuks(source, readLuks(source), { passphrase });
};

type Metadata = ReturnType<typeof luks2Metadata>;

/** A LUKS2 disk whose metadata differ at `path`. */
function altered(path: string, value: unknown): Buffer {
  const metadata: Metadata = luks2Metadata();
  const steps = path.split('.');
  const last = steps.pop() ?? '';
  let place: Record<string, unknown> = metadata;
  for (const step of steps) {
    const below = place[step];
    if (!isRecord(below)) throw new Error(`no ${step} in ${path}`);
    place = below;
  }
  if (value === undefined) delete place[last];
  else place[last] = value;
  return luks2Disk(plain, { json: JSON.stringify(metadata) });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

describe.each([
  ['LUKS1', luks1Disk(plain)],
  ['LUKS2', luks2Disk(plain)],
])('%s', (_, disk) => {
  test('opens with its passphrase, and with its volume key', () => {
    expect(recogniseLuks(memorySource(disk))).toBe(true);
    const unlocked = unlock(disk);
    expect(Buffer.from(unlocked.disk.read(0, 4096)).equals(plain)).toBe(true);
    expect(Buffer.from(unlocked.disk.read(700, 900)).equals(plain.subarray(700, 1600))).toBe(true);
    const source = memorySource(disk);
    const byKey = unlockLuks(source, readLuks(source), { volumeKey: VOLUME_KEY });
    expect(Buffer.from(byKey.disk.read(0, 4096)).equals(plain)).toBe(true);
    expect(byKey.slot).toBeUndefined();
    const cipherText = disk.subarray(disk.length - 4096 + 1024, disk.length - 4096 + 2048);
    expect(Buffer.from(byKey.decryptSectors(cipherText, 2)).equals(plain.subarray(1024, 2048))).toBe(true);
  });

  test('opens with nothing else', () => {
    expect(() => unlock(disk, Buffer.from('Correct horse'))).toThrow(DiskError);
    const source = memorySource(disk);
    for (const volumeKey of [VOLUME_KEY.subarray(1), Buffer.alloc(64), new Uint8Array(0)]) {
      expect(() => unlockLuks(source, readLuks(source), { volumeKey })).toThrow(/not the one of this header/);
    }
  });

  test('refuses to read beyond its end, and parts of sectors', () => {
    const unlocked = unlock(disk);
    expect(() => unlocked.disk.read(4000, 100)).toThrow(ParseError);
    expect(() => unlocked.decryptSectors(new Uint8Array(100), 0)).toThrow(/whole sectors/);
  });

  test('a mutation of the header ends in values, or in an error of this library', () => {
    const random = seededNumbers(11);
    const places = livePlaces(disk.subarray(0, 24_576));
    let read = 0;
    for (let count = 0; count < 500; count += 1) {
      const source = memorySource(mutated(disk, places, random));
      const header = attempt(() => readLuks(source));
      if (header === undefined) continue;
      read += 1;
      attempt(() => unlockLuks(source, header, { passphrase: PASSPHRASE }, SMALL).disk.read(0, 512));
    }
    expect(read).toBeGreaterThan(0);
  });
});

describe('the header of LUKS1', () => {
  test.each<readonly [what: string, at: number, bytes: readonly number[], message: RegExp]>([
    ['an unknown hash', 72, [0x74], /hash-spec "tha256"/],
    ['a hash that is no text', 72, [0xff], /hash-spec holds byte 255/],
    ['a key of 4 GiB', 108, [0xff, 0xff, 0xff, 0xff], /key-bytes 4294967295/],
    ['no iterations', 164, [0, 0, 0, 0], /mk-digest-iter 0/],
    ['a slot neither on nor off', 208, [1, 2, 3, 4], /active 0x1020304 of key slot 0/],
    ['4 billion stripes', 208 + 48 + 44, [0xff, 0xff, 0xff, 0xff], /stripes 4294967295 of key slot 1/],
  ])('refuses %s', (_, at, bytes, message) => {
    const disk = luks1Disk(plain);
    disk.set(bytes, at);
    expect(() => readLuks(memorySource(disk))).toThrow(ParseError);
    expect(() => readLuks(memorySource(disk))).toThrow(message);
  });

  test('an unknown cipher is told, with what else the header says, and not opened', () => {
    const disk = luks1Disk(plain);
    disk.write('serpent', 8, 'latin1');
    const header = readLuks(memorySource(disk));
    expect(header.segment.encryption).toBe('serpent-xts-plain64');
    expect(header.slots.length).toBe(1);
    expect(() => unlock(disk)).toThrow(/serpent-xts-plain64/);
  });

  test('iterations beyond the limit cost nothing', () => {
    const disk = luks1Disk(plain);
    disk.writeUInt32BE(0xffffffff, 208 + 48 + 4);
    expect(() => unlock(disk)).toThrow(/ask for 4294967295 iterations of PBKDF2, expected at most 40000000/);
  });
});

describe('the header of LUKS2', () => {
  test('says what protects the disk', () => {
    const header = readLuks(memorySource(altered('tokens', { 0: { type: 'systemd-tpm2', keyslots: ['0'] } })));
    expect(header).toMatchObject({
      version: 2,
      label: 'a label',
      uuid: '12345678-9abc-4ef0-8234-56789abcdef0',
      tokens: ['systemd-tpm2'],
      notes: [],
    });
    expect(header.slots[0]?.derivation).toMatchObject({ kind: 'pbkdf2', iterations: 1 });
  });

  test.each<readonly [what: string, path: string, value: unknown, message: RegExp]>([
    ['no key slots', 'keyslots', undefined, /JSON area\.keyslots is no object/],
    [
      'too many key slots',
      'keyslots',
      Object.fromEntries(Array.from({ length: 33 }, (_, at) => [at, {}])),
      /33 objects/,
    ],
    ['a slot with no number', 'keyslots', { x: {} }, /keyslots\.x/],
    ['an unknown kind of slot', 'keyslots.0.type', 'luks3', /keyslots\.0\.type "luks3"/],
    ['a key of 1 GiB', 'keyslots.0.key_size', 2 ** 30, /key_size 1073741824/],
    ['a negative offset', 'keyslots.0.area.offset', '-1', /area\.offset "-1"/],
    ['an offset as a number', 'keyslots.0.area.offset', 4096, /area\.offset is no text/],
    ['an offset beyond 2^53', 'segments.0.offset', '9223372036854775807', /segments\.0\.offset/],
    ['stripes without end', 'keyslots.0.af.stripes', 1e9, /stripes 1000000000/],
    ['half a stripe', 'keyslots.0.af.stripes', 0.5, /stripes 0\.5/],
    ['an unknown derivation', 'keyslots.0.kdf.type', 'scrypt', /kdf\.type "scrypt"/],
    ['a salt that is no base64', 'keyslots.0.kdf.salt', '!!!!', /salt is no base64/],
    ['no iterations', 'keyslots.0.kdf.iterations', 0, /iterations 0/],
    ['no segment', 'segments', {}, /segments has no segment/],
    ['sectors of 768 bytes', 'segments.0.sector_size', 768, /sector_size 768/],
    ['an unknown digest', 'digests.0.type', 'md5', /digests\.0\.type "md5"/],
  ])('refuses %s', (_, path, value, message) => {
    const source = memorySource(altered(path, value));
    expect(() => readLuks(source)).toThrow(ParseError);
    expect(() => readLuks(source)).toThrow(message);
  });

  test.each<readonly [what: string, path: string, value: unknown, message: RegExp]>([
    ['integrity', 'segments.0.integrity', { type: 'hmac(sha256)' }, /authenticated with hmac\(sha256\)/],
    ['a re-encryption', 'config.requirements', { mandatory: ['online-reencrypt-v2'] }, /requires online-reencrypt-v2/],
    ['another cipher', 'segments.0.encryption', 'serpent-xts-plain64', /serpent-xts-plain64/],
    ['a segment in clear', 'segments.0.type', 'linear', /linear segment/],
  ])('tells of what it does not open: %s', (_, path, value, message) => {
    const disk = altered(path, value);
    expect(readLuks(memorySource(disk)).segment.refusal).toMatch(message);
    expect(() => unlock(disk)).toThrow(message);
  });

  const argon2 = (memory: number, time: number): Record<string, unknown> => ({
    type: 'argon2id',
    time,
    memory,
    cpus: 4,
    salt: Buffer.alloc(32).toString('base64'),
  });

  test.each([
    ['memory', argon2(2 ** 32 - 1, 1), /4294967295 KiB of argon2id, expected at most 1048576|times its passes/],
    ['memory alone', argon2(2 ** 21, 1), /2097152 KiB of argon2id, expected at most 1048576/],
    ['passes', argon2(2 ** 20, 33), /KiB of argon2id times its passes, expected at most 33554432/],
  ])('asks for no more %s than a limit allows', (_, kdf, message) => {
    expect(() => unlock(altered('keyslots.0.kdf', kdf))).toThrow(DiskError);
    expect(() => unlock(altered('keyslots.0.kdf', kdf))).toThrow(message);
  });

  test.each<readonly [what: string, options: Luks2Options, spoil: number | undefined, note: RegExp]>([
    ['the first where both hold', {}, undefined, /^$/],
    ['the copy where the first does not hold', {}, 100, /read from its copy/],
    ['the first where the copy does not hold', {}, 16_384 + 100, /copy of the LUKS2 header does not hold/],
    ['the newer', { copySequence: 9, json: '{}', copyJson: JSON.stringify(luks2Metadata()) }, undefined, /newer/],
  ])('reads %s', (_, options, spoil, note) => {
    const disk = luks2Disk(plain, options);
    if (spoil !== undefined) disk.writeUInt8((disk[spoil] ?? 0) ^ 1, spoil);
    expect(readLuks(memorySource(disk)).notes.join('; ')).toMatch(note);
    expect(Buffer.from(unlock(disk).disk.read(0, 4096)).equals(plain)).toBe(true);
  });

  test('where neither holds, says what is wrong with the first', () => {
    const disk = luks2Disk(plain);
    disk.writeUInt8(1, 108);
    disk.writeUInt8(1, 16_384 + 108);
    expect(() => readLuks(memorySource(disk))).toThrow(/csum of the LUKS2 header at 0/);
  });

  test.each([
    ['{"keyslots":', /JSON area is no JSON/],
    ['[]', /is no object/],
    [`${JSON.stringify(luks2Metadata())}\0x`, /goes on behind its end/],
  ])('refuses what is no metadata: %s', (json, message) => {
    expect(() => readLuks(memorySource(luks2Disk(plain, { json })))).toThrow(message);
  });
});

test('recogniseLuks() reads no further than it may', () => {
  expect(recogniseLuks(memorySource(new Uint8Array(10)))).toBe(false);
  expect(recogniseLuks(memorySource(new Uint8Array(40_000)))).toBe(false);
});
