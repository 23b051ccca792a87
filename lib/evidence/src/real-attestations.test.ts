// What a real swtpm signs, for the rules that a software TPM in tests could agree with by mistake.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '@ringwall/bytes';
import { TPM_ALG } from '@ringwall/tpm';
import { describe, expect, it } from 'vitest';
import {
  checkCertifiedName,
  checkNonce,
  checkQuotedPcrs,
  checkSameRun,
  checkSignature,
  readCertification,
  readQuote,
} from './attestations.ts';
import {
  checkAkAttributes,
  checkBootKeyAttributes,
  checkBootKeyHierarchy,
  checkBootKeyPolicy,
  checkSigner,
  readKey,
} from './keys.ts';
import { defaultPolicy } from './policy.ts';

const recorded: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/swtpm-attestations.json'), 'utf8'),
);
const bytes = (field: string): Uint8Array => fromHex(recorded[field] ?? '');

async function evidence() {
  const ak = await readKey(bytes('akPublic'), 'attestation key', TPM_ALG.ECDSA);
  const bootKey = await readKey(bytes('bootPublic'), 'boot key', TPM_ALG.NULL);
  const quote = readQuote(bytes('quote'));
  const certification = readCertification(bytes('certify'));
  if (typeof ak === 'string' || typeof bootKey === 'string') throw new Error('keys');
  if (typeof quote === 'string' || typeof certification === 'string') throw new Error('attestations');
  return { ak, bootKey, quote, certification };
}

describe('the attestations of a real swtpm', () => {
  it('pass every check of keys, quote and certification', async () => {
    const { ak, bootKey, quote, certification } = await evidence();
    const { pcrDigest } = quote.attested;
    const answers = [
      checkAkAttributes(ak),
      await checkSignature(ak, bytes('quoteSignature'), bytes('quote'), 'quote'),
      await checkSigner(ak, quote.qualifiedSigner, 'quote'),
      checkNonce(quote, bytes('qualifying'), 'quote'),
      checkQuotedPcrs(quote, defaultPolicy.pcrs),
      await checkSignature(ak, bytes('certifySignature'), bytes('certify'), 'certification'),
      await checkSigner(ak, certification.qualifiedSigner, 'certification'),
      checkNonce(certification, bytes('qualifying'), 'certification'),
      checkCertifiedName(certification, bootKey),
      checkBootKeyAttributes(bootKey),
      await checkBootKeyHierarchy(bootKey, certification.attested.qualifiedName),
      await checkBootKeyPolicy(bootKey, defaultPolicy.pcrs, pcrDigest),
      checkSameRun(quote, certification),
    ];
    expect(answers.filter(({ ok }) => !ok)).toEqual([]);
  });

  it('do not pass with the signatures exchanged', async () => {
    const { ak } = await evidence();
    const answer = await checkSignature(ak, bytes('certifySignature'), bytes('quote'), 'quote');
    expect(answer.ok).toBe(false);
  });
});
