// What to do about a sealed file that does not open.
import { RingwallError } from '@ringwall/api/errors';
import { SealError, type SealErrorCode } from '@ringwall/seal';

const HINTS: Readonly<Record<SealErrorCode, string>> = {
  'not-sealed': 'ringwall seal makes such files; this is another',
  'needs-key': 'name the file of one of these keys by --key-file',
  'wrong-key': 'its first bytes were changed: take another copy',
  altered: 'nothing from there on can be trusted: take another copy; ringwall scrub says how much of this one is whole',
  truncated: 'it was not copied to its end: take another copy',
  'needs-codec': 'this build cannot unpack it',
  'needs-parent': 'it has only what has changed since that object: a snapshot is brought back by what took it',
  limit: 'it is larger than a sealed file may be',
};

/** Runs `work` upon a sealed file; what it says of it is told as of `file`. */
export async function aboutSealed<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof SealError)) throw cause;
    const code = cause.code === 'altered' || cause.code === 'wrong-key' ? 'proof-invalid' : 'bad-request';
    throw new RingwallError(code, `${file}: ${cause.message}`, { hint: HINTS[cause.code], cause });
  }
}
