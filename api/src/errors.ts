// The closed list of error codes that cross a process boundary, and the one error class that carries them.
// A code is for programs, a message for people, a hint for the operator who can act.

/** Every code that the API, the warden and the broker may answer with. Adding one is a change of the API. */
export const ERROR_CODES = [
  'bad-request', // the request is not what the schema says
  'not-found', // no such machine, image, operation or proof
  'name-taken', // another machine has this name
  'name-invalid', // the name could be read as a path or an option
  'spec-invalid', // cpus, memory or disk are absurd
  'image-unknown', // no image of this name can be built or found
  'image-failed', // the image could not be built
  'host-lacks', // a component of the host is missing
  'host-full', // not enough memory, disk or uids on this host
  'conflict', // the machine is in a state that forbids this, or the version moved on
  'policy-invalid', // a network, a rule or a label that cannot stand
  'network-failed', // a namespace, an interface or rules could not be made on this host
  'tpm-failed', // the virtual TPM did not start, or died
  'vmm-failed', // QEMU did not start, or died
  'guest-silent', // the guest never spoke on the attestation port
  'attestation-refused', // the evidence was judged and refused
  'warden-unavailable', // the warden does not answer
  'broker-unavailable', // the broker does not answer
  'daemon-unavailable', // ringwalld does not answer
  'proof-invalid', // a proof bundle that does not verify
  'timeout', // the time that was given is over
  'too-large', // more bytes than a named limit allows
  'unauthorized', // this peer may not ask this
  'internal', // a defect of Ringwall
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
}

/** An error with a closed code. `message` is lower case, without a full stop; `hint` says what to do. */
export class RingwallError extends Error {
  override readonly name = 'RingwallError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  toBody(): ErrorBody {
    return { code: this.code, message: this.message, ...(this.hint === undefined ? {} : { hint: this.hint }) };
  }

  static fromBody(body: ErrorBody): RingwallError {
    return new RingwallError(body.code, body.message, body.hint === undefined ? {} : { hint: body.hint });
  }
}
