// `ringwall open`: what was sealed, and nothing that was not. A file appears only when its end was reached.
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { RingwallError } from '@ringwall/api/errors';
import { fromHex } from '@ringwall/bytes';
import { openSealed, type Parent } from '@ringwall/seal';
import { printJson, type Invocation } from '../invocation.ts';
import { openInput, openOutput, PIPE } from '../sealed/ends.ts';
import { readOpener } from '../sealed/key-files.ts';
import { aboutSealed } from '../sealed/seal-trouble.ts';

const unpack = promisify(zstdDecompress);

export async function run(invocation: Invocation): Promise<void> {
  const { values } = invocation;
  const file = invocation.arguments[0] ?? PIPE;
  const target = values.get('output') ?? PIPE;
  const keyFile = values.get('key-file');
  if (keyFile === undefined) throw new RingwallError('bad-request', 'open needs a key', { hint: '--key-file FILE' });
  const openers = [await readOpener(keyFile)];
  const root = rootOf(values.get('root'));
  const output = await openOutput(target);
  try {
    const { stream } = await openInput(file);
    const manifest = await aboutSealed(file, async () => {
      const opened = await openSealed(stream, {
        openers,
        ...(root === undefined ? {} : { root }),
        decompress: (bytes, atMost) => unpack(bytes, { maxOutputLength: atMost }),
      });
      if (opened.manifest.parent !== null) {
        await opened.contents.return();
        throw continues(file, opened.manifest.parent);
      }
      for await (const piece of opened.contents) {
        if (piece.kind === 'data') await output.write(piece.bytes);
        else await output.skip(piece.length);
      }
      return opened.manifest;
    });
    await output.keep();
    if (target === PIPE) return;
    if (invocation.json) printJson(invocation, { file: target, manifest });
    else invocation.out.line(`${invocation.out.tick} ${target} is what was sealed`);
  } catch (error) {
    await output.drop();
    throw error;
  }
}

function continues(file: string, { object }: Parent): RingwallError {
  return new RingwallError('bad-request', `${file} has only what has changed since object ${object}`, {
    hint: 'a snapshot is brought back by what took it',
  });
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
