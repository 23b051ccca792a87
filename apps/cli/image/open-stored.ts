// Opens an image that has layers, from a file, a folder or a registry, and gives it to whoever looks into it.
import { openImage, openRootTar, type OpenedImage, type StoredImage } from '@ringwall/host/images';
import { canonicalReference } from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { withoutSignatures } from './given.ts';
import { judging } from './judging.ts';
import { platformOf } from './platform.ts';
import type { SubjectKind } from './subject.ts';

export type StoredKind = SubjectKind & ('image' | 'root-tar' | 'name');

/** `signed`: who did, in a sentence; '' where nobody asked. */
export type UseStored<Result> = (image: StoredImage, signed: string, signal: AbortSignal) => Promise<Result>;

/** undefined where its name or its signatures were refused, which was said. Throws `RingwallError`. */
export function withStored<Result>(
  invocation: Invocation,
  kind: StoredKind,
  subject: string,
  use: UseStored<Result>,
): Promise<Result | undefined> {
  if (kind === 'name') return withRemote(invocation, subject, use);
  return judging(subject, () => withFile(invocation, kind, subject, use));
}

async function withFile<Result>(
  invocation: Invocation,
  kind: StoredKind,
  path: string,
  use: UseStored<Result>,
): Promise<Result | undefined> {
  const { signal } = new AbortController();
  const policy = invocation.values.get('signatures');
  if (policy !== undefined) return await withSignedCopy(invocation, path, policy, use);
  using opened = (kind === 'root-tar' ? undefined : await openCopy(invocation, path, signal)) ?? openRootTar(path);
  return await use(opened, '', signal);
}

async function withSignedCopy<Result>(
  invocation: Invocation,
  path: string,
  policy: string,
  use: UseStored<Result>,
): Promise<Result | undefined> {
  const { judgeBy, namedCopy, renderSignatures } = await import('./signatures.ts');
  const judgeSigned = await judgeBy(policy);
  const { signal } = new AbortController();
  using opened = await openCopy(invocation, path, signal);
  if (opened === undefined) throw withoutSignatures(path);
  const { copy, name } = namedCopy(invocation, path, opened);
  const signed = await judgeSigned(copy, name, signal);
  if (signed.verdict !== 'refused') return await use(opened, signed.reason, signal);
  for (const line of renderSignatures(name.reference, signed, invocation.err)) invocation.err.line(line);
  return undefined;
}

/** undefined where it is no image. Throws OciError. */
export async function openCopy(
  invocation: Invocation,
  path: string,
  signal: AbortSignal,
): Promise<OpenedImage | undefined> {
  const image = invocation.values.get('image') ?? '';
  return await openImage(path, { image, platform: platformOf(invocation), signal });
}

async function withRemote<Result>(
  invocation: Invocation,
  name: string,
  use: UseStored<Result>,
): Promise<Result | undefined> {
  const { admitName, asking, openRemote } = await import('./remote.ts');
  const { renderSignatures, signatureJudge } = await import('./signatures.ts');
  const reference = admitName(invocation, name);
  if (reference === undefined) return undefined;
  const { signal } = new AbortController();
  const whole = canonicalReference(reference);
  const judgeSigned = await signatureJudge(invocation);
  return await judging(whole, async () => {
    const stored = await openRemote(invocation, reference, signal);
    return await asking(whole, async () => {
      const signed = await judgeSigned?.(stored, { reference, isClaimed: false }, signal);
      if (signed?.verdict === 'refused') {
        for (const line of renderSignatures(reference, signed, invocation.err)) invocation.err.line(line);
        return undefined;
      }
      return await use(stored, signed?.reason ?? '', signal);
    });
  });
}
