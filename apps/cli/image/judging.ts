// What cannot be judged is an error, and never a pass.
import { RingwallError } from '@ringwall/api/errors';
import { OciError } from '@ringwall/oci';
import { plainText } from '../terminal.ts';

export async function judging<Result>(subject: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof OciError)) throw cause;
    const hint = 'an image that cannot be read is not let in: whoever made it may want that';
    throw new RingwallError('image-failed', `${subject}: ${plainText(cause.message)}`, { cause, hint });
  }
}
