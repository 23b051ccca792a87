// The answer of every command that attests: what was signed as bytes, and the signature (TPM 2.0 Part 3 section 18).

import { readSignature, type TPMT_SIGNATURE } from '../structures/signature.ts';
import { readSized } from '../structures/sized.ts';
import type { AnswerReader } from './answer.ts';

/** A TPMS_ATTEST with the largest union, MAX_NV_BUFFER_SIZE of NV content. */
const MAX_ATTEST_BYTES = 2304;

/** Verify `signature` over `attestation` with `verifySignature`; only then is `parseAttest` worth its while. */
export interface SignedAttestation {
  readonly attestation: Uint8Array;
  readonly signature: TPMT_SIGNATURE;
}

export const attestation: AnswerReader<SignedAttestation> = {
  handle: false,
  read: (parameters) => ({
    attestation: readSized(parameters, 'attestation', MAX_ATTEST_BYTES),
    signature: readSignature(parameters),
  }),
};
