// The error of this package apart from ParseError: a TPM that refused, or a key or template that cannot be used.

/** For programs. Adding a code is a change of the API. */
export const TPM_ERROR_CODES = [
  'authorization', // an authorization value or its HMAC was wrong or missing
  'policy', // the policy session does not hold: PCRs changed, or the digest is another
  'signature', // a signature or integrity value did not verify
  'lockout', // dictionary attack protection is active
  'busy', // the TPM asks to be called again later
  'not-found', // no such handle or NV index
  'no-room', // no free slot, session or NV space; flush something
  'not-started', // TPM2_Startup was not sent
  'failure-mode', // the TPM is in failure mode
  'unsupported', // the TPM or this library does not know this command, algorithm or key
  'parameter', // a value in the command was refused
  'refused', // any other response code
  'template', // a command template was filled with a wrong set of values
] as const;

export type TpmErrorCode = (typeof TPM_ERROR_CODES)[number];

/** `responseCode` is the TPM_RC where a TPM answered, else undefined. */
export class TpmError extends Error {
  override readonly name = 'TpmError';
  readonly code: TpmErrorCode;
  readonly responseCode: number | undefined;

  constructor(code: TpmErrorCode, message: string, options: { responseCode?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.responseCode = options.responseCode;
  }
}
