// `ringwall seal`: any file or pipe as a sealed object (docs/sealed-format.md).
import { RingwallError } from '@ringwall/api/errors';
import { cipherOfProcessor, compressChunkAside, nativeBlake3, sealFiles } from '@ringwall/host/seal';
import { sealStream, type Recipient, type SealedSummary } from '@ringwall/seal';
import { printJson, type Invocation } from '../invocation.ts';
import { openInput, openOutput, PIPE, type Input, type Output } from '../sealed/ends.ts';
import { parseRecipient, readRecipient } from '../sealed/key-files.ts';
import { aboutSealed } from '../sealed/seal-trouble.ts';
import { Steps } from '../sealed/steps.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { values, flags, self } = invocation;
  const file = invocation.arguments[0] ?? PIPE;
  const target = values.get('output') ?? PIPE;
  const recipients = await recipientsOf(invocation);
  if (recipients.length === 0) {
    throw new RingwallError('bad-request', 'seal needs to know for whom', {
      hint: `--to RECIPIENT or --key-file FILE; a key is made by: ${self} keygen -o FILE`,
    });
  }
  const compress = flags.has('compress');
  const output = await openOutput(target);
  using progress = invocation.progress();
  try {
    await using ends = new AsyncDisposableStack();
    const input = ends.adopt(await openInput(file), ({ close }) => close());
    const steps = new Steps(progress, 'sealing', file, input.file?.bytes);
    const summary = await aboutSealed(file, () => sealInto(output, input, { recipients, compress, steps }));
    await output.keep();
    progress.clear();
    if (target === PIPE) return;
    const { object, bytes, root } = summary;
    if (invocation.json) printJson(invocation, { file: target, object, bytes, root });
    else {
      invocation.out.line(`${invocation.out.tick} ${target} is sealed`);
      invocation.out.line(`  root ${root}`);
      invocation.out.line('  whoever keeps that number can tell it from any other, also from an older one');
    }
  } catch (error) {
    progress.fail();
    await output.drop();
    throw error;
  }
}

interface How {
  readonly recipients: readonly Recipient[];
  readonly compress: boolean;
  readonly steps: Steps;
}

/** From file to file with all cores; a pipe as it comes. */
async function sealInto(output: Output, input: Input, { recipients, compress, steps }: How): Promise<SealedSummary> {
  const cipher = cipherOfProcessor();
  if (input.file !== undefined && output.descriptor !== undefined) {
    const options = { recipients, cipher, compress, onDone: steps.tell };
    const sealed = await sealFiles(
      [{ place: input.file.descriptor, bytes: input.file.bytes }],
      output.descriptor,
      options,
    );
    output.wrote(sealed.stored);
    return sealed;
  }
  const sealing = sealStream(steps.counted(input.stream()), {
    recipients,
    cipher,
    ...(input.file === undefined ? {} : { bytes: input.file.bytes }),
    ...(nativeBlake3 === undefined ? {} : { digest: nativeBlake3 }),
    ...(compress ? { compress: compressChunkAside } : {}),
  });
  for (;;) {
    const next = await sealing.next();
    if (next.done === true) return next.value;
    await output.write(next.value);
  }
}

async function recipientsOf({ values }: Invocation): Promise<Recipient[]> {
  const keyFile = values.get('key-file');
  const named = (values.get('to') ?? '').split(',').filter((text) => text.trim() !== '');
  return [...named.map(parseRecipient), ...(keyFile === undefined ? [] : [await readRecipient(keyFile)])];
}
