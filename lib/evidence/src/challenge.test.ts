import { createHash } from 'node:crypto';
import { fromHex, toHex } from '@ringwall/bytes';
import { describe, expect, it } from 'vitest';
import {
  activationDigest,
  qualifyingData,
  qualifyingText,
  releaseDigest,
  releaseText,
  unlockedText,
  type Challenge,
  type Release,
} from './challenge.ts';

const challenge: Challenge = {
  nonce: fromHex('11'.repeat(32)),
  machine: 'mch_aaaabbbbccccddddeeee',
  boot: '00112233445566778899aabbccddeeff',
};
const bootKeyName = fromHex(`000b${'22'.repeat(32)}`);
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

// The guest writes these texts with printf: one changed byte here, and no machine boots.
describe('the signed texts', () => {
  it('qualifyingText() is the protocol’s, line by line', async () => {
    const text =
      `ringwall-attest 1\n${'11'.repeat(32)}\nmch_aaaabbbbccccddddeeee\n` +
      `00112233445566778899aabbccddeeff\n000b${'22'.repeat(32)}\n`;
    expect(qualifyingText(challenge, bootKeyName)).toBe(text);
    expect(toHex(await qualifyingData(challenge, bootKeyName))).toBe(sha256(text));
  });

  it('releaseText() is the protocol’s, line by line', async () => {
    const release: Release = {
      qualifyingData: fromHex('33'.repeat(32)),
      mode: 'format',
      idObject: fromHex('44'),
      encryptedSecret: fromHex('55'),
      ephemeral: fromHex('66'),
      masked: fromHex('77'),
    };
    const text = `ringwall-release 1\n${'33'.repeat(32)}\nformat\n44\n55\n66\n77\n`;
    expect(releaseText(release)).toBe(text);
    expect(toHex(await releaseDigest(release))).toBe(sha256(text));
  });

  it('activationDigest() is over the question and the fresh half', async () => {
    const text = `ringwall-activated 1\n${'33'.repeat(32)}\n${'88'.repeat(32)}\n`;
    const digest = await activationDigest(fromHex('33'.repeat(32)), fromHex('88'.repeat(32)));
    expect(toHex(digest)).toBe(sha256(text));
  });

  it('unlockedText() names the boot', () => {
    expect(unlockedText(challenge.boot)).toBe('ringwall unlocked 00112233445566778899aabbccddeeff\n');
  });

  it.each<[what: string, change: Partial<Challenge>]>([
    ['a nonce of another length', { nonce: new Uint8Array(31) }],
    ['a machine that is no id', { machine: 'mch_a\nmch_b' }],
    ['an empty machine', { machine: '' }],
    ['a boot in upper case', { boot: 'AA'.repeat(16) }],
  ])('refuse %s', async (_what, change) => {
    await expect(qualifyingData({ ...challenge, ...change }, bootKeyName)).rejects.toThrow('not');
  });
});
