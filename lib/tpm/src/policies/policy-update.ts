// One extend of a policy session's digest (TPM 2.0 Part 1 section 19.7.2), apart from the tree of all steps: whoever only
// checks a PolicyPCR, as a page in a browser does, needs no other.

import { concatBytes, Writer } from '@ringwall/bytes';
import { PolicyPCR } from '../commands/command-codes.ts';
import { digest, type ComputableHash } from '../hash.ts';
import { encodePcrSelections, type TPMS_PCR_SELECTION } from '../structures/pcr-selection.ts';

export async function updatePolicy(
  hash: ComputableHash,
  from: Uint8Array,
  commandCode: number,
  ...parts: readonly Uint8Array[]
): Promise<Uint8Array<ArrayBuffer>> {
  return digest(hash, concatBytes(from, new Writer().u32be(commandCode).finish(), ...parts));
}

/** TPM2_PolicyPCR, Part 3 section 23.7. */
export async function updatePolicyPcr(
  hash: ComputableHash,
  from: Uint8Array,
  pcrs: readonly TPMS_PCR_SELECTION[],
  pcrDigest: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  return updatePolicy(hash, from, PolicyPCR, encodePcrSelections(pcrs), pcrDigest);
}
