// Holds docs/protocols/attestation.md to the code: its limits and its example.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { concatBytes, toHex } from '@ringwall/bytes';
import { activationDigest, qualifyingData, releaseDigest } from '@ringwall/evidence';
import { DEMANDED_PCRS } from '@ringwall/tpm';
import { describe, expect, test } from 'vitest';
import { SESSION_LIMITS } from './guest-session.ts';

const text = readFileSync(join(import.meta.dirname, '../../docs/protocols/attestation.md'), 'utf8');

function bytes(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

describe('docs/protocols/attestation.md', () => {
  test('says the limits that the broker has', () => {
    const section = text.slice(text.indexOf('## Limits'), text.indexOf('## What each step stops'));
    const rows = [...section.matchAll(/^\| (.+?) \| (\d+) ?(?:bytes|ms|characters)? \|/gm)];
    const said = Object.fromEntries(rows.map(([, name, value]) => [name, Number(value)]));
    expect(said).toEqual({
      line: SESSION_LIMITS.lineBytes,
      'session, from the guest': SESSION_LIMITS.totalBytes,
      'lines in a session': SESSION_LIMITS.lines,
      'event log in a line': SESSION_LIMITS.eventLogLineBytes,
      'judgements in a session': SESSION_LIMITS.judgements,
      'life of a nonce': SESSION_LIMITS.nonceLifetimeMs,
      'wait for the first hello': SESSION_LIMITS.helloTimeoutMs,
      'wait for the report': SESSION_LIMITS.unlockTimeoutMs,
      'sentence of the guest': SESSION_LIMITS.sentenceCharacters,
    });
  });

  test('gives digests that the code makes too', async () => {
    const challenge = {
      nonce: Uint8Array.from({ length: 32 }, (_, index) => index),
      machine: 'mch_aaaaaaaaaaaaaaaaaaaa',
      boot: '0123456789abcdef0123456789abcdef',
    };
    const qualifying = await qualifyingData(challenge, concatBytes(Uint8Array.of(0, 0x0b), bytes(32, 0x11)));
    const release = await releaseDigest({
      qualifyingData: qualifying,
      mode: 'format',
      idObject: bytes(68, 0x33),
      encryptedSecret: bytes(68, 0x44),
      ephemeral: bytes(64, 0x55),
      masked: bytes(32, 0x66),
    });
    expect(text).toContain(`qualifying data ${toHex(qualifying)}\n`);
    expect(text).toContain(`release         ${toHex(release)}\n`);
    expect(text).toContain(`activation      ${toHex(await activationDigest(qualifying, bytes(32, 0x22)))}\n`);
  });

  test('names the PCRs that are demanded', () => {
    expect(text).toContain('0 to 9 and 11 to 15');
    expect(DEMANDED_PCRS).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]);
  });
});
