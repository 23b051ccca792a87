// What a user gave: files that are read whole, and how it is said that they make no sense.
import { readFileSync, statSync } from 'node:fs';
import { RingwallError } from '@ringwall/api/errors';
import { OciError } from '@ringwall/oci';

/** The parsers' own limits are lower; a list of names may be longer. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

export function readText(file: string): string {
  return new TextDecoder().decode(readBytes(file));
}

export function readBytes(file: string, maxBytes: number = MAX_FILE_BYTES): Uint8Array {
  try {
    if (!statSync(file).isFile()) throw usage(`${file} is no file`, 'name a file');
    if (statSync(file).size > maxBytes) throw new RingwallError('too-large', `${file} has more than ${maxBytes} bytes`);
    return readFileSync(file);
  } catch (cause) {
    if (cause instanceof RingwallError) throw cause;
    throw new RingwallError('not-found', `${file} cannot be read`, { cause });
  }
}

/** Runs `work`, and says what it was about where that makes no sense. */
export function reading<Result>(what: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof OciError)) throw cause;
    throw new RingwallError('bad-request', `${what}: ${cause.message}`, { cause });
  }
}

export function usage(message: string, hint: string): RingwallError {
  return new RingwallError('bad-request', message, { hint });
}

export function withoutSignatures(path: string): RingwallError {
  return usage(
    `${path} has no signatures: they lie beside an image in its registry, and in an OCI layout`,
    'name an image or a layout, or do without --signatures',
  );
}
