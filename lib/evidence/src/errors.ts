// The one error class of this package. A judgement never throws it: bad evidence is a refused verdict, not an error.

export type EvidenceErrorCode =
  | 'policy-invalid' // the policy is not what its schema says, or demands nothing
  | 'reference-invalid' // the reference values are not what their schema says, or expect nothing
  | 'firmware-invalid' // the firmware manifest is not what its schema says
  | 'image-invalid' // a PE/COFF image that cannot be measured
  | 'challenge-invalid' // nonce, machine or boot of a form that no broker makes
  | 'collateral-invalid' // not a collateral bundle of a format known here
  | 'token-invalid' // not an attestation result that counts: its form, its signature, its time
  | 'proof-invalid' // not a proof bundle of a format known here
  | 'erasure-invalid' // not the record of an erasure of a format known here
  | 'export-invalid' // not the ticket of an exported snapshot, or a host's recipient, of a format known here
  | 'answer-invalid' // an answer of a running machine that is not in the form of the protocol
  | 'record-invalid' // the record of a boot that is watched cannot be read
  | 'files-invalid' // the list of what may run in an image is not what its schema says
  | 'too-large'; // more bytes than a named limit allows

/** `message` is lower case and without a full stop. */
export class EvidenceError extends Error {
  override readonly name = 'EvidenceError';
  readonly code: EvidenceErrorCode;

  constructor(code: EvidenceErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
  }
}
