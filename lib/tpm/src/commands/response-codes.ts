// TPM_RC, TPM 2.0 Part 2 section 6.6: what a response code says, for people and for programs.

import { TpmError, type TpmErrorCode } from '../tpm-error.ts';

/** TSS2 and resource managers put their layer above bit 15; below it stands the TPM's own code. */
const TPM_CODE_MASK = 0xffff;
const FORMAT_ONE = 0x080;
const VERSION_TWO = 0x100;
const VENDOR = 0x400;
const WARNING = 0x800;

type Known = readonly [name: string, code: TpmErrorCode];

/** Format one, Part 2 table 16: bits 0 to 5. */
const FORMAT_ONE_CODES: ReadonlyMap<number, Known> = new Map<number, Known>([
  [0x01, ['TPM_RC_ASYMMETRIC', 'unsupported']],
  [0x02, ['TPM_RC_ATTRIBUTES', 'parameter']],
  [0x03, ['TPM_RC_HASH', 'unsupported']],
  [0x04, ['TPM_RC_VALUE', 'parameter']],
  [0x05, ['TPM_RC_HIERARCHY', 'parameter']],
  [0x07, ['TPM_RC_KEY_SIZE', 'parameter']],
  [0x08, ['TPM_RC_MGF', 'unsupported']],
  [0x09, ['TPM_RC_MODE', 'unsupported']],
  [0x0a, ['TPM_RC_TYPE', 'parameter']],
  [0x0b, ['TPM_RC_HANDLE', 'not-found']],
  [0x0c, ['TPM_RC_KDF', 'unsupported']],
  [0x0d, ['TPM_RC_RANGE', 'parameter']],
  [0x0e, ['TPM_RC_AUTH_FAIL', 'authorization']],
  [0x0f, ['TPM_RC_NONCE', 'authorization']],
  [0x10, ['TPM_RC_PP', 'authorization']],
  [0x12, ['TPM_RC_SCHEME', 'unsupported']],
  [0x15, ['TPM_RC_SIZE', 'parameter']],
  [0x16, ['TPM_RC_SYMMETRIC', 'unsupported']],
  [0x17, ['TPM_RC_TAG', 'parameter']],
  [0x18, ['TPM_RC_SELECTOR', 'parameter']],
  [0x1a, ['TPM_RC_INSUFFICIENT', 'parameter']],
  [0x1b, ['TPM_RC_SIGNATURE', 'signature']],
  [0x1c, ['TPM_RC_KEY', 'parameter']],
  [0x1d, ['TPM_RC_POLICY_FAIL', 'policy']],
  [0x1f, ['TPM_RC_INTEGRITY', 'signature']],
  [0x20, ['TPM_RC_TICKET', 'signature']],
  [0x21, ['TPM_RC_RESERVED_BITS', 'parameter']],
  [0x22, ['TPM_RC_BAD_AUTH', 'authorization']],
  [0x23, ['TPM_RC_EXPIRED', 'policy']],
  [0x24, ['TPM_RC_POLICY_CC', 'policy']],
  [0x25, ['TPM_RC_BINDING', 'signature']],
  [0x26, ['TPM_RC_CURVE', 'unsupported']],
  [0x27, ['TPM_RC_ECC_POINT', 'parameter']],
]);

/** Format zero with RC_VER1, Part 2 table 16: bits 0 to 6. */
const VERSION_TWO_CODES: ReadonlyMap<number, Known> = new Map<number, Known>([
  [0x00, ['TPM_RC_INITIALIZE', 'not-started']],
  [0x01, ['TPM_RC_FAILURE', 'failure-mode']],
  [0x03, ['TPM_RC_SEQUENCE', 'refused']],
  [0x0b, ['TPM_RC_PRIVATE', 'refused']],
  [0x19, ['TPM_RC_HMAC', 'refused']],
  [0x20, ['TPM_RC_DISABLED', 'unsupported']],
  [0x21, ['TPM_RC_EXCLUSIVE', 'refused']],
  [0x24, ['TPM_RC_AUTH_TYPE', 'authorization']],
  [0x25, ['TPM_RC_AUTH_MISSING', 'authorization']],
  [0x26, ['TPM_RC_POLICY', 'policy']],
  [0x27, ['TPM_RC_PCR', 'parameter']],
  [0x28, ['TPM_RC_PCR_CHANGED', 'policy']],
  [0x2d, ['TPM_RC_UPGRADE', 'failure-mode']],
  [0x2e, ['TPM_RC_TOO_MANY_CONTEXTS', 'no-room']],
  [0x2f, ['TPM_RC_AUTH_UNAVAILABLE', 'authorization']],
  [0x30, ['TPM_RC_REBOOT', 'refused']],
  [0x31, ['TPM_RC_UNBALANCED', 'unsupported']],
  [0x42, ['TPM_RC_COMMAND_SIZE', 'parameter']],
  [0x43, ['TPM_RC_COMMAND_CODE', 'unsupported']],
  [0x44, ['TPM_RC_AUTHSIZE', 'parameter']],
  [0x45, ['TPM_RC_AUTH_CONTEXT', 'authorization']],
  [0x46, ['TPM_RC_NV_RANGE', 'parameter']],
  [0x47, ['TPM_RC_NV_SIZE', 'parameter']],
  [0x48, ['TPM_RC_NV_LOCKED', 'refused']],
  [0x49, ['TPM_RC_NV_AUTHORIZATION', 'authorization']],
  [0x4a, ['TPM_RC_NV_UNINITIALIZED', 'not-found']],
  [0x4b, ['TPM_RC_NV_SPACE', 'no-room']],
  [0x4c, ['TPM_RC_NV_DEFINED', 'refused']],
  [0x50, ['TPM_RC_BAD_CONTEXT', 'parameter']],
  [0x51, ['TPM_RC_CPHASH', 'policy']],
  [0x52, ['TPM_RC_PARENT', 'parameter']],
  [0x53, ['TPM_RC_NEEDS_TEST', 'busy']],
  [0x54, ['TPM_RC_NO_RESULT', 'refused']],
  [0x55, ['TPM_RC_SENSITIVE', 'refused']],
]);

/** Format zero with RC_WARN, Part 2 table 16: bits 0 to 6. */
const WARNING_CODES: ReadonlyMap<number, Known> = new Map<number, Known>([
  [0x01, ['TPM_RC_CONTEXT_GAP', 'no-room']],
  [0x02, ['TPM_RC_OBJECT_MEMORY', 'no-room']],
  [0x03, ['TPM_RC_SESSION_MEMORY', 'no-room']],
  [0x04, ['TPM_RC_MEMORY', 'no-room']],
  [0x05, ['TPM_RC_SESSION_HANDLES', 'no-room']],
  [0x06, ['TPM_RC_OBJECT_HANDLES', 'no-room']],
  [0x07, ['TPM_RC_LOCALITY', 'authorization']],
  [0x08, ['TPM_RC_YIELDED', 'busy']],
  [0x09, ['TPM_RC_CANCELED', 'busy']],
  [0x0a, ['TPM_RC_TESTING', 'busy']],
  [0x20, ['TPM_RC_NV_RATE', 'busy']],
  [0x21, ['TPM_RC_LOCKOUT', 'lockout']],
  [0x22, ['TPM_RC_RETRY', 'busy']],
  [0x23, ['TPM_RC_NV_UNAVAILABLE', 'busy']],
]);

/** Where in the command the TPM found the fault; `number` counts from 1, as the specification does. */
export interface ResponsePlace {
  readonly part: 'parameter' | 'handle' | 'session';
  readonly number: number;
}

/** A TPM_RC taken apart. */
export interface DecodedResponseCode {
  readonly responseCode: number;
  /** The name in Part 2 section 6.6.3, for example TPM_RC_VALUE; a sentence where the code has none. */
  readonly name: string;
  readonly code: TpmErrorCode;
  readonly at: ResponsePlace | undefined;
  /** RC_WARN: nothing was wrong with the command; it may succeed later. */
  readonly warning: boolean;
}

/** What a response code other than TPM_RC_SUCCESS says. Bits above 15, where software puts its layer, are passed over. */
export function decodeResponseCode(responseCode: number): DecodedResponseCode {
  const code = responseCode & TPM_CODE_MASK;
  const decoded = (known: Known, at?: ResponsePlace, warning = false): DecodedResponseCode => {
    return { responseCode, name: known[0], code: known[1], at, warning };
  };
  if ((code & FORMAT_ONE) !== 0) {
    return decoded(FORMAT_ONE_CODES.get(code & 0x3f) ?? ['an unknown format one code', 'refused'], placeOf(code));
  }
  if ((code & VENDOR) !== 0) return decoded(['a code of its vendor', 'refused']);
  if ((code & VERSION_TWO) === 0) return decoded([code === 0x1e ? 'TPM_RC_BAD_TAG' : 'a TPM 1.2 code', 'unsupported']);
  const number = code & 0x7f;
  const unknown: Known = ['an unknown code', 'refused'];
  if ((code & WARNING) === 0) return decoded(VERSION_TWO_CODES.get(number) ?? unknown);
  // TPM_RC_REFERENCE_H0 to H6 and S0 to S6, Part 2 table 16: a handle or session that is not loaded.
  if (number >= 0x10 && number <= 0x16) {
    const place = { part: 'handle', number: number - 0x10 + 1 } as const;
    return decoded([`TPM_RC_REFERENCE_H${number - 0x10}`, 'not-found'], place, true);
  }
  if (number >= 0x18 && number <= 0x1e) {
    const place = { part: 'session', number: number - 0x18 + 1 } as const;
    return decoded([`TPM_RC_REFERENCE_S${number - 0x18}`, 'not-found'], place, true);
  }
  return decoded(WARNING_CODES.get(number) ?? unknown, undefined, true);
}

/** The error that a response code other than TPM_RC_SUCCESS stands for; says which parameter, handle or session. */
export function responseError(responseCode: number): TpmError {
  const { name, code, at } = decodeResponseCode(responseCode);
  const where = at === undefined ? '' : ` at ${at.part} ${at.number}`;
  const message = `tpm answered ${name}${where} (0x${responseCode.toString(16).padStart(3, '0')})`;
  return new TpmError(code, message, { responseCode });
}

/** Format one, Part 2 section 6.6.2: bit 6 means a parameter, else bit 11 a session, else a handle; 0 says nothing. */
function placeOf(code: number): ResponsePlace | undefined {
  const number = (code >> 8) & 0xf;
  if ((code & 0x40) !== 0) return number === 0 ? undefined : { part: 'parameter', number };
  const index = number & 7;
  if (index === 0) return undefined;
  return { part: (number & 8) === 0 ? 'handle' : 'session', number: index };
}
