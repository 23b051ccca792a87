// `ringwall open`: what was sealed, and nothing that was not. A file appears only when its end was reached.
import { RingwallError } from '@ringwall/api/errors';
import { fromHex } from '@ringwall/bytes';
import { nativeBlake3, openFiles, unpackChunkAside, type OpenTarget } from '@ringwall/host/seal';
import { openSealed, SealError, type Manifest, type Opener } from '@ringwall/seal';
import { printJson, type Invocation } from '../invocation.ts';
import { openInput, openOutput, PIPE, type Input, type Output } from '../sealed/ends.ts';
import { readOpener } from '../sealed/key-files.ts';
import { aboutSealed } from '../sealed/seal-trouble.ts';
import { Steps } from '../sealed/steps.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { values } = invocation;
  const file = invocation.arguments[0] ?? PIPE;
  const target = values.get('output') ?? PIPE;
  const keyFile = values.get('key-file');
  if (keyFile === undefined) throw new RingwallError('bad-request', 'open needs a key', { hint: '--key-file FILE' });
  const openers = [await readOpener(keyFile)];
  const root = rootOf(values.get('root'));
  const output = await openOutput(target);
  using progress = invocation.progress();
  try {
    await using ends = new AsyncDisposableStack();
    const input = ends.adopt(await openInput(file, true), ({ close }) => close());
    const steps = new Steps(progress, 'opening', file, input.file?.bytes);
    const manifest = await aboutSealed(file, () => openInto(output, input, { openers, root, steps }));
    await output.keep();
    progress.clear();
    if (target === PIPE) return;
    if (invocation.json) printJson(invocation, { file: target, manifest });
    else invocation.out.line(`${invocation.out.tick} ${target} is what was sealed`);
  } catch (error) {
    progress.fail();
    await output.drop();
    throw error;
  }
}

interface How {
  readonly openers: readonly Opener[];
  readonly root: Uint8Array | undefined;
  readonly steps: Steps;
}

/** From file to file with all cores; a pipe as it comes. */
async function openInto(output: Output, input: Input, { openers, root, steps }: How): Promise<Manifest> {
  const options = { openers, ...(root === undefined ? {} : { root }) };
  const { descriptor } = output;
  if (input.file !== undefined && descriptor !== undefined) {
    const targets = (): readonly OpenTarget[] => [{ place: descriptor }];
    const opened = await openFiles(input.file.descriptor, targets, { ...options, onDone: steps.tell });
    output.wrote(opened.bytes);
    return opened.manifest;
  }
  const { manifest, contents } = await openSealed(steps.counted(input.stream()), {
    ...options,
    ...(nativeBlake3 === undefined ? {} : { digest: nativeBlake3 }),
    decompress: unpackChunkAside,
  });
  if (manifest.parent !== null) {
    await contents.return();
    throw new SealError('needs-parent', `it continues object ${manifest.parent.object}, and none is there`);
  }
  for await (const piece of contents) {
    if (piece.kind === 'data') await output.write(piece.bytes);
    else await output.skip(piece.length);
  }
  return manifest;
}

function rootOf(text: string | undefined): Uint8Array | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new RingwallError('bad-request', '--root is no root', {
      hint: '64 hexadecimal digits, as seal printed them',
    });
  }
  return fromHex(text);
}
