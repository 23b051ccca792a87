// Opens an image that has layers, from a file, a folder or a registry, and gives it to whoever looks into it.
import { openImage, openRootTar, type StoredImage } from '@ringwall/host/images';
import { canonicalReference } from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
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
): Promise<Result> {
  const { signal } = new AbortController();
  const image = invocation.values.get('image') ?? '';
  using opened =
    (kind === 'root-tar' ? undefined : await openImage(path, { image, platform: platformOf(invocation), signal })) ??
    openRootTar(path);
  return await use(opened, '', signal);
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
      const signed = await judgeSigned?.(stored, reference, signal);
      if (signed?.verdict === 'refused') {
        for (const line of renderSignatures(reference, signed, invocation.err)) invocation.err.line(line);
        return undefined;
      }
      return await use(stored, signed?.reason ?? '', signal);
    });
  });
}
