import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromHex } from '@ringwall/bytes';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { newPersonKey, parsePerson, readPersonKey } from './person-key.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'person-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function fileWith(text: string): string {
  const file = join(folder, 'key');
  writeFileSync(file, text);
  return file;
}

test('what the key in the file signs is verified with the person that was printed', async () => {
  const { file, person } = newPersonKey();
  const { key, sign } = readPersonKey(fileWith(file));
  expect(parsePerson(person)).toBe(key);
  const imported = await crypto.subtle.importKey('raw', fromHex(key), 'Ed25519', false, ['verify']);
  const verify = (text: string): Promise<boolean> =>
    crypto.subtle.verify('Ed25519', imported, fromHex(sign('words')), new TextEncoder().encode(text));
  expect(await verify('words')).toBe(true);
  expect(await verify('other words')).toBe(false);
});

test('RFC 8032, section 7.1, test 2', () => {
  const seed = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb';
  const { key, sign } = readPersonKey(fileWith(`ringwall-person-key:${seed}\n`));
  expect(key).toBe('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
  expect(sign('r')).toBe(
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
      '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  );
});

test('other files are no key, and are not repeated', () => {
  for (const text of ['', 'ringwall-identity:ab', `ringwall-person:${'ab'.repeat(32)}`, 'x'.repeat(300)]) {
    expect(() => readPersonKey(fileWith(text))).toThrow(/holds no key of a person|is too long/);
  }
  expect(() => readPersonKey(join(folder, 'none'))).toThrow(/cannot be read/);
  expect(() => parsePerson('ringwall-recipient:ab')).toThrow(/is no person/);
});
