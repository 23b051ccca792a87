// What becomes of a machine that is put back to a snapshot which somebody has got at.
import type { Instance } from '@ringwall/testkit';
import type { Attempt } from './drill.ts';

const REFUSED = /not what was sealed|is not the newest state/;

/** `names`: as `ringwall restore` takes it. */
export async function putBack(ringwall: Instance, what: string, names: readonly string[]): Promise<Attempt> {
  const { code, stderr } = await ringwall.cli('restore', ...names);
  if (code === 0) return { what, succeeded: true, seen: 'the machine runs' };
  const said = /error: (.*)/.exec(stderr)?.[1] ?? stderr.trim();
  if (!REFUSED.test(said)) throw new Error(`it was not put back for another reason: ${said}`);
  return { what, succeeded: false, seen: said };
}
