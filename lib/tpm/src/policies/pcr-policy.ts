// The two digests over a set of PCRs: the one that a quote carries, and the one of a PolicyPCR.

import { concatBytes } from '@ringwall/bytes';
import { TPM_ALG } from '../constants.ts';
import { digest, hashBytes, type ComputableHash } from '../hash.ts';
import { TpmError } from '../tpm-error.ts';
import { updatePolicyPcr } from './policy-update.ts';

/**
 * The digest over the values of `pcrs` of one bank in ascending order, as in TPMS_QUOTE_INFO (TPM 2.0 Part 1 section
 * 17.5). A PCR without a value is refused. The digest's hash is not the bank's: a quote takes that of the signature, a
 * policy that of its session.
 */
export async function pcrDigest(
  values: ReadonlyMap<number, Uint8Array>,
  pcrs: readonly number[],
  hashes: { readonly bank: ComputableHash; readonly digest: ComputableHash } = { bank: 'sha256', digest: 'sha256' },
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = hashBytes(hashes.bank);
  const selected: Uint8Array[] = [];
  for (const pcr of new Set(pcrs.toSorted((left, right) => left - right))) {
    const value = values.get(pcr);
    if (value?.length !== bytes) {
      throw new TpmError('parameter', `pcr ${pcr} has no ${DISPLAY_NAMES[hashes.bank]} value`);
    }
    selected.push(value);
  }
  return digest(hashes.digest, concatBytes(...selected));
}

const DISPLAY_NAMES: Readonly<Record<ComputableHash, string>> = {
  sha1: 'SHA-1',
  sha256: 'SHA-256',
  sha384: 'SHA-384',
  sha512: 'SHA-512',
};

/** The authPolicy that one TPM2_PolicyPCR over `pcrs` of the SHA-256 bank leads to. */
export async function policyPcrDigest(
  pcrs: readonly number[],
  digestOfPcrs: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  return updatePolicyPcr('sha256', new Uint8Array(hashBytes('sha256')), [{ hash: TPM_ALG.SHA256, pcrs }], digestOfPcrs);
}
