// The attestation key that a machine's TPM has shown to be its own, bound for good with the first unlocking.
import { equalBytes } from '@ringwall/bytes';
import type { VtpmEvidence } from '@ringwall/evidence';
import { nameOf } from '@ringwall/tpm';

/** A TPM makes the same attestation key at each start: another one is not its own, whatever its public area says. */
export async function refuseOtherKey(
  known: Uint8Array | undefined,
  evidence: Pick<VtpmEvidence, 'akPublic'>,
): Promise<string | undefined> {
  if (known === undefined || equalBytes(known, await nameOf(evidence.akPublic))) return undefined;
  return 'the attestation key is not the one that the TPM of this machine has shown to be its own';
}
