// What every transport to a TPM holds to: the sizes of commands and responses, and how long an answer may take.
import { RingwallError } from '@ringwall/api';
import { MAX_RESPONSE_BYTES, RESPONSE_HEADER_BYTES } from '@ringwall/tpm';

export { RESPONSE_HEADER_BYTES };

/** MAX_COMMAND_SIZE of libtpms and of the Linux driver (TPM_BUFSIZE). */
const MAX_COMMAND_BYTES = 4096;
/** The slowest command that we send is the making of an RSA key: seconds in swtpm, half a minute in some chips. */
export const DEFAULT_TIMEOUT_MS = 60_000;

export interface TransportOptions {
  /** How long one command may take, and a connection to be made. */
  readonly timeoutMs?: number;
}

/** A defect of the caller is told before it reaches a TPM, which would wait for the bytes that are missing. */
export function checkCommand(command: Uint8Array): void {
  const { byteOffset, length } = command;
  const size = length < RESPONSE_HEADER_BYTES ? 0 : new DataView(command.buffer, byteOffset).getUint32(2);
  if (size !== length || length > MAX_COMMAND_BYTES) {
    throw new RingwallError('internal', `a TPM command of ${length} bytes that says ${size}, expected at most 4096`);
  }
}

export function isResponseSize(size: number): boolean {
  return size >= RESPONSE_HEADER_BYTES && size <= MAX_RESPONSE_BYTES;
}
