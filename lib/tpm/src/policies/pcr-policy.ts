// The two digests over a set of PCRs: the one that a quote carries, and the one of a PolicyPCR.

import { concatBytes, Writer } from '@ringwall/bytes';
import { TPM_ALG } from '../constants.ts';
import { TPM_CC } from '../commands/command-codes.ts';
import { digest } from '../hash.ts';
import { encodePcrSelection } from '../structures/pcr-selection.ts';
import { TpmError } from '../tpm-error.ts';

const SHA256_BYTES = 32;

/**
 * The SHA-256 digest over the values of `pcrs` of the SHA-256 bank in ascending order, as in TPMS_QUOTE_INFO (TPM 2.0
 * Part 1 section 17.5). A PCR without a value is refused.
 */
export async function pcrDigest(
  values: ReadonlyMap<number, Uint8Array>,
  pcrs: readonly number[],
): Promise<Uint8Array<ArrayBuffer>> {
  const ascending = [...new Set(pcrs)].toSorted((left, right) => left - right);
  const selected = ascending.map((pcr) => {
    const value = values.get(pcr);
    if (value?.length !== SHA256_BYTES) throw new TpmError('parameter', `pcr ${pcr} has no SHA-256 value`);
    return value;
  });
  return digest('sha256', concatBytes(...selected));
}

/**
 * The authPolicy that one TPM2_PolicyPCR over `pcrs` of the SHA-256 bank leads to (TPM 2.0 Part 3 section 23.7):
 * H(0…0 ‖ TPM_CC_PolicyPCR ‖ TPML_PCR_SELECTION ‖ pcrDigest).
 */
export async function policyPcrDigest(
  pcrs: readonly number[],
  digestOfPcrs: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const update = new Writer()
    .bytes(new Uint8Array(SHA256_BYTES))
    .u32be(TPM_CC.PolicyPCR)
    .bytes(encodePcrSelection(TPM_ALG.SHA256, pcrs))
    .bytes(digestOfPcrs)
    .finish();
  return digest('sha256', update);
}
