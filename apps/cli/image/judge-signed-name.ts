// `ringwall image judge NAME --signatures POLICY`: is the name a trap, and did the right people sign what it leads to? Of the image
// itself only its manifests are read.
import { canonicalReference } from '@ringwall/oci';
import { EXIT_CODES } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { judging } from './judging.ts';
import { admitName, asking, openRemote } from './remote.ts';
import { judgeBy, renderSignatures } from './signatures.ts';

export async function judgeSignedName(invocation: Invocation, name: string, policy: string): Promise<number> {
  const { out, json } = invocation;
  const judgeSigned = await judgeBy(policy);
  const reference = admitName(invocation, name);
  if (reference === undefined) return EXIT_CODES.refused.code;
  const whole = canonicalReference(reference);
  const { signal } = new AbortController();
  const { digest, verdict } = await judging(whole, async () => {
    const image = await openRemote(invocation, reference, signal);
    return { digest: image.digest, verdict: await asking(whole, () => judgeSigned(image, reference, signal)) };
  });
  if (json) printJson(invocation, { name: whole, digest, signatures: verdict });
  else for (const line of renderSignatures(reference, verdict, out)) out.line(line);
  return verdict.verdict === 'refused' ? EXIT_CODES.refused.code : EXIT_CODES.ok.code;
}
