// Quote and certification: signatures first, then what the signed bytes say.
import { equalBytes } from '@ringwall/bytes';
import { parseAttest, parseSignature, TPM_ALG, verifySignature, type TPMS_ATTEST } from '@ringwall/tpm';
import { fails, holds, type Answer } from './checks.ts';
import { messageOf, short, type KeyClaim } from './keys.ts';
import type { Policy } from './policy.ts';

export type Quote = Extract<TPMS_ATTEST, { type: 'quote' }>;
export type Certification = Extract<TPMS_ATTEST, { type: 'certify' }>;

/** quote-signature and certify-signature: over the bytes as they came, before anything of them is read. */
export async function checkSignature(
  ak: KeyClaim,
  signature: Uint8Array,
  signed: Uint8Array,
  what: string,
): Promise<Answer> {
  try {
    if (await verifySignature(ak.public, parseSignature(signature), signed)) return holds('ECDSA P-256 with SHA-256');
    return fails(`the signature of the ${what} is not that of the attestation key`);
  } catch (error) {
    return fails(`the signature of the ${what} cannot be checked: ${messageOf(error)}`);
  }
}

/** quote-form. A sentence where the bytes are no quote. */
export function readQuote(bytes: Uint8Array): Quote | string {
  const attest = readAttest(bytes, 'quote');
  if (typeof attest === 'string') return attest;
  return attest.type === 'quote' ? attest : 'what was sent as quote is another attestation of a TPM';
}

/** certify-form. A sentence where the bytes are no certification. */
export function readCertification(bytes: Uint8Array): Certification | string {
  const attest = readAttest(bytes, 'certification');
  if (typeof attest === 'string') return attest;
  return attest.type === 'certify' ? attest : 'what was sent as certification is another attestation of a TPM';
}

/** quote-nonce and certify-nonce: the qualifying data binds nonce, machine, boot and boot key. */
export function checkNonce(attest: TPMS_ATTEST, expected: Uint8Array, what: string): Answer {
  if (equalBytes(attest.extraData, expected)) return holds(`qualifying data ${short(expected)}`);
  return fails(
    `the ${what} answers another question: its qualifying data is ${short(attest.extraData)}, expected ` +
      `${short(expected)} for this nonce, machine, boot and boot key`,
  );
}

/** quote-pcrs: one selection, SHA-256, exactly the demanded PCRs. */
export function checkQuotedPcrs(quote: Quote, pcrs: readonly number[]): Answer {
  const { pcrSelect } = quote.attested;
  const [selection] = pcrSelect;
  if (selection === undefined || pcrSelect.length !== 1) {
    return fails(`the quote covers ${pcrSelect.length} banks, expected SHA-256 alone`);
  }
  if (selection.hash !== TPM_ALG.SHA256) {
    const bank = selection.hash === TPM_ALG.SHA1 ? 'the SHA-1 bank' : `bank 0x${selection.hash.toString(16)}`;
    return fails(`the quote covers ${bank}, expected SHA-256`);
  }
  if (selection.pcrs.length !== pcrs.length || selection.pcrs.some((pcr, index) => pcr !== pcrs[index])) {
    return fails(`the quote covers PCRs ${listPcrs(selection.pcrs)}, expected ${listPcrs(pcrs)}`);
  }
  return holds(`PCRs ${listPcrs(pcrs)}`);
}

/** quote-firmware: TPMS_ATTEST.firmwareVersion, which each maker numbers upwards. */
export function checkTpmFirmware(quote: Quote, policy: Policy): Answer {
  const minimum = policy.version === 1 ? undefined : policy.minimumTpmFirmware;
  const seen = quote.firmwareVersion.toString(16).padStart(16, '0');
  if (minimum === undefined || quote.firmwareVersion >= BigInt(`0x${minimum}`)) return holds(`firmware ${seen}`);
  return fails(`the TPM’s firmware is ${seen}, the policy demands at least ${minimum}`);
}

/** certify-name. */
export function checkCertifiedName(certification: Certification, bootKey: KeyClaim): Answer {
  if (equalBytes(certification.attested.name, bootKey.name)) return holds(`Name ${short(bootKey.name)}`);
  return fails(
    `the key that was certified has the Name ${short(certification.attested.name)}, the boot key ${short(bootKey.name)}`,
  );
}

/** same-run: resetCount counts TPM resets, restartCount restarts and resumes since (Part 1 section 36). */
export function checkSameRun(quote: Quote, certification: Certification): Answer {
  const [one, other] = [quote.clockInfo, certification.clockInfo];
  if (one.resetCount !== other.resetCount || one.restartCount !== other.restartCount) {
    return fails(
      `the TPM was reset between quote and certification: resets ${one.resetCount} and ${other.resetCount}, ` +
        `restarts ${one.restartCount} and ${other.restartCount}`,
    );
  }
  if (quote.firmwareVersion !== certification.firmwareVersion) {
    return fails('quote and certification come from TPMs of different firmware');
  }
  return holds(`reset ${one.resetCount}, restart ${one.restartCount}`);
}

export function listPcrs(pcrs: readonly number[]): string {
  return pcrs.length === 0 ? 'none' : pcrs.join(', ');
}

function readAttest(bytes: Uint8Array, what: string): TPMS_ATTEST | string {
  try {
    return parseAttest(bytes);
  } catch (error) {
    return `the ${what} cannot be read: ${messageOf(error)}`;
  }
}
