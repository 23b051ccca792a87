// `ringwall image judge NAME|LAYOUT --signatures POLICY`: did the right people sign it, and is its name a trap, where it is asked for
// by one? Of the image itself only its manifests are read.
import { canonicalReference, type Reference, type SignatureVerdict } from '@ringwall/oci';
import { EXIT_CODES } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { withoutSignatures } from './given.ts';
import { judging } from './judging.ts';
import { openCopy } from './open-stored.ts';
import { admitName, asking, openRemote } from './remote.ts';
import { judgeBy, namedCopy, renderSignatures, type JudgeSigned } from './signatures.ts';
import { subjectKind } from './subject.ts';

interface Judged {
  readonly reference: Reference;
  readonly digest: string;
  readonly verdict: SignatureVerdict;
}

export async function judgeSigned(invocation: Invocation, subject: string, policy: string): Promise<number> {
  const { out, json } = invocation;
  const judge = await judgeBy(policy);
  const isName = subjectKind(invocation, subject) === 'name';
  const judged = await (isName ? judgeName : judgeCopy)(invocation, subject, judge);
  if (judged === undefined) return EXIT_CODES.refused.code;
  const { reference, digest, verdict } = judged;
  if (json) printJson(invocation, { name: canonicalReference(reference), digest, signatures: verdict });
  else for (const line of renderSignatures(reference, verdict, out)) out.line(line);
  return verdict.verdict === 'refused' ? EXIT_CODES.refused.code : EXIT_CODES.ok.code;
}

async function judgeName(invocation: Invocation, name: string, judge: JudgeSigned): Promise<Judged | undefined> {
  const reference = admitName(invocation, name);
  if (reference === undefined) return undefined;
  const whole = canonicalReference(reference);
  const { signal } = new AbortController();
  return await judging(whole, async () => {
    const image = await openRemote(invocation, reference, signal);
    const verdict = await asking(whole, () => judge(image, { reference, isClaimed: false }, signal));
    return { reference, digest: image.digest, verdict };
  });
}

async function judgeCopy(invocation: Invocation, path: string, judge: JudgeSigned): Promise<Judged> {
  const { signal } = new AbortController();
  return await judging(path, async () => {
    using opened = await openCopy(invocation, path, signal);
    if (opened === undefined) throw withoutSignatures(path);
    const { copy, name } = namedCopy(invocation, path, opened);
    return { reference: name.reference, digest: opened.digest, verdict: await judge(copy, name, signal) };
  });
}
