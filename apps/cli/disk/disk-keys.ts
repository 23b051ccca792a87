// What opens an encrypted disk image: a key file, standard input, or a passphrase that is typed.
import { readFileSync, statSync } from 'node:fs';
import { RingwallError } from '@ringwall/api/errors';
import type { LuksKey } from '@ringwall/disk';
import type { Invocation } from '../invocation.ts';

/** As cryptsetup has it (its --help says 8192 kB). */
const MAX_KEY_FILE_BYTES = 8 * 1024 * 1024;
const STANDARD_INPUT = 0;

/** As cryptsetup reads it: every byte of the file, or of standard input for `-`, is a part of the key. */
export function keysOf({ values }: Pick<Invocation, 'values'>): LuksKey[] {
  const file = values.get('key-file');
  if (file === undefined) return [];
  try {
    // A pipe has no size to ask for.
    const passphrase = file === '-' ? readFileSync(STANDARD_INPUT) : readKeyFile(file);
    if (passphrase.length > MAX_KEY_FILE_BYTES) throw tooLarge(file);
    return [{ passphrase }];
  } catch (cause) {
    if (cause instanceof RingwallError) throw cause;
    throw new RingwallError('not-found', `the key file ${file} cannot be read`, { cause });
  }
}

function readKeyFile(file: string): Buffer {
  if (statSync(file).size > MAX_KEY_FILE_BYTES) throw tooLarge(file);
  return readFileSync(file);
}

function tooLarge(file: string): RingwallError {
  return new RingwallError('bad-request', `${file} is too large for a key`, { hint: 'a key file has at most 8 MiB' });
}
