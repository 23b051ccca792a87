// `ringwall seal`: any file or pipe as a sealed object (docs/sealed-format.md).
import { promisify } from 'node:util';
import { zstdCompress } from 'node:zlib';
import { RingwallError } from '@ringwall/api/errors';
import { sealStream, type Recipient } from '@ringwall/seal';
import { printJson, type Invocation } from '../invocation.ts';
import { openInput, openOutput, PIPE } from '../sealed/ends.ts';
import { parseRecipient, readRecipient } from '../sealed/key-files.ts';
import { aboutSealed } from '../sealed/seal-trouble.ts';

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
  const compress = promisify(zstdCompress);
  const output = await openOutput(target);
  try {
    const input = await openInput(file);
    const sealing = sealStream(input.stream, {
      recipients,
      ...(input.bytes === undefined ? {} : { bytes: input.bytes }),
      ...(flags.has('compress') ? { compress } : {}),
    });
    const summary = await aboutSealed(file, async () => {
      for (;;) {
        const next = await sealing.next();
        if (next.done === true) return next.value;
        await output.write(next.value);
      }
    });
    await output.keep();
    if (target === PIPE) return;
    if (invocation.json) printJson(invocation, { file: target, ...summary });
    else {
      invocation.out.line(`${invocation.out.tick} ${target} is sealed`);
      invocation.out.line(`  root ${summary.root}`);
      invocation.out.line('  whoever keeps that number can tell it from any other, also from an older one');
    }
  } catch (error) {
    await output.drop();
    throw error;
  }
}

async function recipientsOf({ values }: Invocation): Promise<Recipient[]> {
  const keyFile = values.get('key-file');
  const named = (values.get('to') ?? '').split(',').filter((text) => text.trim() !== '');
  return [...named.map(parseRecipient), ...(keyFile === undefined ? [] : [await readRecipient(keyFile)])];
}
