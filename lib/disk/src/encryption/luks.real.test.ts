// LUKS made by others: LUKS1 by QEMU, LUKS2 by cryptsetup, which encrypts files without a device of the kernel.
import { randomBytes } from 'node:crypto';
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingTools, runTool, TemporaryFolder } from '../../testing/tools.ts';
import { DiskError } from '../disk-error.ts';
import { openImage } from '../images/open-image.ts';
import { FileSource } from '../node/file-source.ts';
import type { ByteSource } from '../source/byte-source.ts';
import { readLuks, recogniseLuks, unlockLuks, type UnlockedLuks } from './luks.ts';

const MISSING = missingTools('qemu-img', 'cryptsetup');
const MIB = 2 ** 20;
const PLAIN_BYTES = MIB;
const PASSPHRASE = 'correct horse';
const FAST = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];

describe.skipIf(MISSING !== '')(`LUKS made by others${MISSING}`, () => {
  const folder = new TemporaryFolder();
  const plainPath = folder.at('plain');
  const passPath = folder.at('pass');
  const plain = randomBytes(PLAIN_BYTES);

  beforeAll(() => {
    writeFileSync(plainPath, plain);
    writeFileSync(passPath, PASSPHRASE);
  });

  afterAll(() => folder[Symbol.dispose]());

  const unlock = (source: ByteSource, passphrase: string = PASSPHRASE): UnlockedLuks =>
    unlockLuks(source, readLuks(source), { passphrase: Buffer.from(passphrase) });

  function isPlain(disk: ByteSource): boolean {
    const whole = Buffer.from(disk.read(0, PLAIN_BYTES)).equals(plain);
    const parts = [
      [0, 1],
      [511, 2],
      [4095, 8194],
      [65_535, 70_001],
      [PLAIN_BYTES - 3, 3],
    ] as const;
    return (
      whole &&
      parts.every(([offset, length]) => plain.subarray(offset, offset + length).equals(disk.read(offset, length)))
    );
  }

  test.each([
    ['aes-256 xts plain64', { alg: 'aes-256', mode: 'xts', iv: 'plain64' }],
    ['aes-128 xts plain', { alg: 'aes-128', mode: 'xts', iv: 'plain' }],
    ['aes-256 cbc essiv', { alg: 'aes-256', mode: 'cbc', iv: 'essiv', ivHash: 'sha256' }],
    ['aes-128 cbc plain64', { alg: 'aes-128', mode: 'cbc', iv: 'plain64' }],
    ['sha1', { alg: 'aes-256', mode: 'xts', iv: 'plain64', hash: 'sha1' }],
    ['sha512', { alg: 'aes-256', mode: 'xts', iv: 'plain64', hash: 'sha512' }],
    ['ripemd160', { alg: 'aes-256', mode: 'xts', iv: 'plain64', hash: 'ripemd160' }],
  ] as const)('LUKS1 of QEMU: %s', (_, { alg, mode, iv, ...more }) => {
    const path = folder.at('luks1');
    const hash = 'hash' in more ? `,hash-alg=${more.hash}` : '';
    const ivHash = 'ivHash' in more ? `,ivgen-hash-alg=${more.ivHash}` : '';
    const options = `key-secret=k,iter-time=10,cipher-alg=${alg},cipher-mode=${mode},ivgen-alg=${iv}${ivHash}${hash}`;
    const secret = `secret,id=k,file=${passPath}`;
    runTool(['qemu-img', 'convert', '-f', 'raw', '-O', 'luks', '--object', secret, '-o', options, plainPath, path]);
    using source = FileSource.open(path);
    expect(recogniseLuks(source)).toBe(true);
    expect(isPlain(unlock(source).disk)).toBe(true);
    expect(() => unlock(source, 'another')).toThrow(DiskError);
  });

  function encryptWithCryptsetup(...options: readonly string[]): string {
    const path = folder.at('luks2');
    copyFileSync(plainPath, path);
    truncateSync(path, PLAIN_BYTES + 32 * MIB);
    const common = ['--batch-mode', '--encrypt', '--reduce-device-size', '32M', '--key-file', passPath];
    runTool(['cryptsetup', 'reencrypt', ...common, ...options, path]);
    return path;
  }

  test.each<readonly [name: string, options: readonly string[]]>([
    ['pbkdf2', FAST],
    ['sectors of 1,024 bytes', [...FAST, '--sector-size', '1024']],
    ['sectors of 4,096 bytes', [...FAST, '--sector-size', '4096']],
    ['argon2id', ['--pbkdf', 'argon2id', '--pbkdf-memory', '64', '--pbkdf-force-iterations', '4']],
    [
      'argon2i',
      ['--pbkdf', 'argon2i', '--pbkdf-memory', '64', '--pbkdf-force-iterations', '5', '--pbkdf-parallel', '2'],
    ],
    ['a key of 256 bits', [...FAST, '--key-size', '256', '--hash', 'sha512']],
    ['aes-cbc-essiv', [...FAST, '--cipher', 'aes-cbc-essiv:sha256', '--key-size', '256']],
  ])('LUKS2 of cryptsetup: %s', (_, options) => {
    using source = FileSource.open(encryptWithCryptsetup('--type', 'luks2', ...options));
    const unlocked = unlock(source);
    expect(unlocked.slot).toBe(0);
    expect(isPlain(unlocked.disk)).toBe(true);
    expect(() => unlock(source, 'another')).toThrow(/opens none of 1 key slots/);
  });

  test('a second key slot, the volume key alone, and the copy of a header that was overwritten', () => {
    const path = encryptWithCryptsetup('--type', 'luks2', ...FAST);
    const second = folder.at('second');
    writeFileSync(second, 'battery staple');
    runTool(['cryptsetup', 'luksAddKey', '--batch-mode', '--key-file', passPath, ...FAST, path, second]);
    const volumeKeyPath = folder.at('volume-key');
    const dump = ['--dump-volume-key', '--volume-key-file', volumeKeyPath, '--key-file', passPath];
    runTool(['cryptsetup', 'luksDump', '--batch-mode', ...dump, path]);
    {
      using source = FileSource.open(path);
      expect(unlock(source, 'battery staple').slot).toBe(1);
      const volumeKey = readFileSync(volumeKeyPath);
      expect(isPlain(unlockLuks(source, readLuks(source), { volumeKey }).disk)).toBe(true);
      expect(() => unlockLuks(source, readLuks(source), { volumeKey: volumeKey.map((byte) => byte ^ 1) })).toThrow(
        /volume key is not the one/,
      );
    }
    runTool(['dd', 'if=/dev/zero', `of=${path}`, 'bs=4096', 'count=1', 'conv=notrunc', 'status=none']);
    using source = FileSource.open(path);
    expect(recogniseLuks(source)).toBe(true);
    expect(readLuks(source).notes).toEqual([expect.stringMatching(/read from its copy/)]);
    expect(isPlain(unlock(source).disk)).toBe(true);
  });

  test('the LUKS inside a QCOW2', () => {
    const path = folder.at('luks.qcow2');
    const options = 'encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10';
    const secret = `secret,id=k,file=${passPath}`;
    runTool(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '--object', secret, '-o', options, plainPath, path]);
    using source = FileSource.open(path);
    const image = openImage(source, {
      unlock: ({ header }) => {
        if (header === undefined) return undefined;
        const unlocked = unlock(header);
        return (sectors, firstSector) => unlocked.decryptSectors(sectors, firstSector);
      },
    });
    expect(isPlain(image)).toBe(true);
  });
});
