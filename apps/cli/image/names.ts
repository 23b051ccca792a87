// The names that a user vouches for, out of files: one a line; `#` begins a comment.
import { readFileSync, statSync } from 'node:fs';
import { RingwallError } from '@ringwall/api/errors';
import { compileLookalikes, OciError, type Lookalikes } from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';

/** The parsers' own limits are lower; a list of names may be longer. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

export function compileNames({ values }: Invocation): Lookalikes {
  const list = (option: string): string[] => {
    const file = values.get(option);
    if (file === undefined) return [];
    const lines = readText(file)
      .split('\n')
      .map((line) => line.replace(/#.*$/, '').trim());
    return lines.filter((line) => line !== '');
  };
  return reading('the lists of names', () => compileLookalikes({ allowed: list('allow'), history: list('history') }));
}

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
