// The plain verifier that drills compare with: tpm2_checkquote, as the tools' own examples call it. It checks a signature
// with the key that it is given: whose key that is, and whether the nonce was used before, is nobody's business.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '@ringwall/host/exec';
import { parsePublic, publicKeyOf } from '@ringwall/tpm';

const CHECKQUOTE = '/usr/bin/tpm2_checkquote';

export interface PlainQuote {
  /** TPMT_PUBLIC, as the evidence itself gives it. */
  readonly akPublic: Uint8Array;
  readonly quote: Uint8Array;
  readonly quoteSignature: Uint8Array;
}

export interface PlainVerdict {
  readonly accepted: boolean;
  readonly seen: string;
}

/** Asks tpm2_checkquote in `directory`; it compares the qualifying data with `nonce` (hexadecimal). */
export async function plainVerify(directory: string, evidence: PlainQuote, nonce: string): Promise<PlainVerdict> {
  const key = await crypto.subtle.exportKey('spki', await publicKeyOf(parsePublic(evidence.akPublic)));
  const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(key).toString('base64')}\n-----END PUBLIC KEY-----\n`;
  const file = (name: string, content: Uint8Array | string): string => {
    const path = join(directory, name);
    writeFileSync(path, content);
    return path;
  };
  const result = await run(
    [
      CHECKQUOTE,
      ...['-u', file('ak.pem', pem)],
      ...['-m', file('quote', evidence.quote)],
      ...['-s', file('signature', evidence.quoteSignature)],
      ...['-q', nonce],
    ],
    { timeoutMs: 10_000 },
  );
  const said = result.stderr.toString().trim().split('\n')[0] ?? '';
  return result.code === 0
    ? { accepted: true, seen: 'tpm2_checkquote: exit 0' }
    : { accepted: false, seen: `tpm2_checkquote: exit ${result.code} ${said}` };
}
