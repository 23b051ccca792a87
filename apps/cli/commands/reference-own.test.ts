// `reference build FILE` and `reference sign`: by the word of whoever runs them, offline.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkReferenceSignature, decodeReference, predictBoot, type SignedReference } from '@ringwall/evidence';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makePe } from '../../../lib/evidence/testing/pe-image.ts';
import { runCli, type Run } from '../testing/harness.ts';

const ROOT_HASH = 'ab'.repeat(32);
const LINE = `console=ttyS0 ringwall.verity=${ROOT_HASH}`;
const FIRMWARE = {
  version: 1,
  name: 'OVMF of a test',
  digest: '01'.repeat(32),
  varsDigest: '02'.repeat(32),
  crtmVersion: '0000',
  volumes: [{ name: 'PEIFV', digest: '03'.repeat(32) }],
  bootOptions: [],
};
/** One signature list with one entry of 4 bytes. */
const LIST = Buffer.from(`a159c0a5e494a74a87b5ab155c2bf072300000000000000014000000${'11'.repeat(16)}22222222`, 'hex');

let directory: string;
let kernel: Uint8Array;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rw-own-'));
  kernel = bootable();
  file('kernel', kernel);
  file('initrd', 'the initrd');
  file('firmware.json', JSON.stringify(FIRMWARE));
  file('db.esl', LIST);
  file('db-entry', Buffer.from('22222222', 'hex'));
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', pair.privateKey)).toString('base64');
  file('our.pem', `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A PE image that has the setup header of a kernel, too. */
function bootable(): Uint8Array {
  const image = new Uint8Array(4096);
  image.set(makePe({ certificateBytes: 0, trailingBytes: 3000 }).image.subarray(0, 4096));
  const view = new DataView(image.buffer);
  view.setUint32(0x202, 0x5372_6448, true);
  view.setUint16(0x206, 0x020f, true);
  view.setUint8(0x211, 0x01);
  view.setUint32(0x22c, 0x7fff_ffff, true);
  view.setUint16(0x236, 0x007f, true);
  return image;
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const good = {
  image: { name: 'hello', digest: 'cd'.repeat(32) },
  kernel: 'kernel',
  initrd: 'initrd',
  commandLine: LINE,
  verityRoot: ROOT_HASH,
  firmware: 'firmware.json',
  memoryMiB: 512,
};

const reference = (...argv: string[]): Promise<Run> => runCli(undefined, ['reference', ...argv]);
const build = (changes: object = {}, ...more: string[]): Promise<Run> =>
  reference(
    ...['build', file('boot.json', JSON.stringify({ ...good, ...changes }))],
    ...['--key', join(directory, 'our.pem'), '-o', join(directory, 'ours.json'), ...more],
  );
const written = (name = 'ours.json'): SignedReference => decodeReference(readFileSync(join(directory, name)));

describe('reference build FILE', () => {
  it('computes what the artefacts will measure, and signs it', async () => {
    const { code, stdout, stderr } = await build({}, '--by', 'the tenant', '--days', '30');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const made = written();
    expect((await checkReferenceSignature(made)).ok).toBe(true);
    expect(made.by).toBe('the tenant');
    expect(made.notAfter.getTime() - made.notBefore.getTime()).toBe(30 * 24 * 3600 * 1000);
    expect(made.for.kernel.digest).toBe(createHash('sha256').update(kernel).digest('hex'));
    const predicted = await predictBoot({
      firmware: { ...FIRMWARE, version: 1 },
      kernel,
      initrd: Buffer.from('the initrd'),
      commandLine: LINE,
      memoryBytes: 512 * 1024 * 1024,
      image: good.image,
    });
    expect(made.events).toEqual(predicted.events);
    expect(stdout).toContain(`--reference-key ${Buffer.from(made.publicKey).toString('hex')}`);
  });

  it('takes the variables of Secure Boot as files, and what allows the kernel', async () => {
    const databases = { PK: 'db.esl', KEK: 'db.esl', db: 'db.esl', dbx: 'db.esl' };
    expect((await build({ secureBoot: { enabled: true, ...databases, authority: 'db-entry' } })).code).toBe(0);
    const of7 = written().events.filter(({ pcr }) => pcr === 7);
    expect(of7.map(({ type }) => type)).toEqual([
      ...Array.from({ length: 5 }, () => 'EV_EFI_VARIABLE_DRIVER_CONFIG'),
      'EV_SEPARATOR',
      'EV_EFI_VARIABLE_AUTHORITY',
    ]);
  });

  it.each([
    ['a verity root that the command line lacks', { verityRoot: 'ef'.repeat(32) }, 'does not carry the verity root'],
    ['a kernel that is none', { kernel: 'initrd' }, 'kernel'],
    ['an unknown key', { kernal: 'x' }, 'kernal'],
    ['Secure Boot without a platform key', { secureBoot: { enabled: true } }, 'platform key'],
    ['a variable that holds no lists', { secureBoot: { enabled: false, db: 'initrd' } }, 'no signature lists'],
  ])('refuses %s', async (_what, changes, message) => {
    const { code, stderr } = await build(changes);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it('demands a key and a place, and a key that is one', async () => {
    const boot = file('boot.json', JSON.stringify(good));
    expect((await reference('build', boot)).stderr).toContain('--key FILE and -o FILE');
    const argv = ['build', boot, '--key', join(directory, 'kernel'), '-o', join(directory, 'x.json')];
    expect((await reference(...argv)).stderr).toContain('holds no P-256 key');
  });
});

describe('reference sign', () => {
  it('takes over what another has computed: the same id, another word', async () => {
    await build();
    const theirs = written();
    const argv = ['sign', join(directory, 'ours.json'), '--key', join(directory, 'our.pem'), '--by', 'me'];
    expect((await reference(...argv, '-o', join(directory, 'mine.json'))).code).toBe(0);
    const mine = written('mine.json');
    expect(mine.id).toBe(theirs.id);
    expect(mine.by).toBe('me');
    expect((await checkReferenceSignature(mine)).ok).toBe(true);
  });
});
