// `ringwall image pull`: an image out of a registry into a folder, as an OCI layout that skopeo, podman and containerd read. Its
// name is judged before anybody is asked.
import { writeLayout } from '@ringwall/host/images';
import { RegistryError, type RemoteImage } from '@ringwall/host/registry';
import type { CopiedSignatures } from '@ringwall/host/signatures';
import { canonicalName, canonicalReference, type Reference } from '@ringwall/oci';
import { EXIT_CODES } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { formatBytes } from '../quantities.ts';
import { plainText } from '../terminal.ts';
import { judging } from './judging.ts';
import { usage } from './given.ts';
import { admitName, asking, openRemote } from './remote.ts';
import { renderSignatures, signatureJudge } from './signatures.ts';

export async function pullImage(invocation: Invocation, name: string): Promise<number> {
  const { out, err, json, self, values } = invocation;
  const output = values.get('output');
  if (output === undefined)
    throw usage('no folder to write to is named', `as in: ${self} image pull ${name} -o debian`);
  const reference = admitName(invocation, name);
  if (reference === undefined) return EXIT_CODES.refused.code;
  const whole = canonicalReference(reference);
  const judgeSigned = await signatureJudge(invocation);
  const { signal } = new AbortController();
  using progress = invocation.progress();
  const pulled = await judging(whole, async () => {
    progress.step(`asking ${reference.domain}`);
    const stored = await openRemote(invocation, reference, signal);
    const signed = await asking(whole, async () => judgeSigned?.(stored, { reference, isClaimed: false }, signal));
    if (signed?.verdict === 'refused') return { signed, digest: '', left: [] };
    const { attached, left } = await signaturesOf(stored, signal);
    const total = sumOf([
      ...stored.contents.map(({ descriptor }) => descriptor.size),
      ...attached.flatMap(({ contents }) => contents.map(({ bytes }) => bytes.length)),
    ]);
    let done = 0;
    const onBytes = (bytes: number): void => {
      done += bytes;
      progress.step(`fetching ${formatBytes(total)}: ${formatBytes(done)}`, total === 0 ? 1 : done / total);
    };
    await asking(whole, () =>
      writeLayout(stored, output, {
        name: reference.tag ?? '',
        wholeName: nameInLayout(reference),
        attached,
        signal,
        onBytes,
      }),
    );
    progress.done();
    return { signed, digest: stored.digest, left };
  });
  const { signed, digest, left } = pulled;
  if (signed?.verdict === 'refused') {
    if (json) printJson(invocation, { name: whole, signatures: signed });
    else for (const line of renderSignatures(reference, signed, err)) err.line(line);
    return EXIT_CODES.refused.code;
  }
  if (json)
    printJson(invocation, { name: whole, digest, output, ...(signed === undefined ? {} : { signatures: signed }) });
  else {
    if (signed !== undefined) for (const line of renderSignatures(reference, signed, out)) out.line(line);
    out.line(`${out.tick} ${whole} is in ${output}: ${digest}`);
  }
  for (const reason of left) err.line(`${err.bang} signatures left behind: ${plainText(reason)}`);
  return EXIT_CODES.ok.code;
}

/** A registry that does not tell what is attached to an image is no reason to go without the image. */
async function signaturesOf(stored: RemoteImage, signal: AbortSignal): Promise<CopiedSignatures> {
  const { copySignatures } = await import('@ringwall/host/signatures');
  try {
    return await copySignatures(stored, signal);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return { attached: [], left: [error.message] };
  }
}

function sumOf(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Of a digest nothing is said: the layout has its own. */
function nameInLayout(reference: Reference): string {
  const { tag } = reference;
  return `${canonicalName(reference)}${tag === undefined ? '' : `:${tag}`}`;
}
