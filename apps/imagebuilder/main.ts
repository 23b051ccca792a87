// ringwall-imagebuilder NAME --out DIR [--cache DIR]: builds one image as a user without privilege. Each line of its
// output is a JSON object: {"step","fraction"} while it works, at last {"image":{…}} or {"error":{"code","message","hint"}}.
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RingwallError } from '@ringwall/api';
import { buildImage, guestDirectory } from '@ringwall/host/guestimage';

const USAGE = 'imagebuilder NAME --out DIR [--cache DIR]';

async function main(argv: readonly string[]): Promise<number> {
  try {
    const { name, outDir, cacheDir } = readArguments(argv);
    const image = await buildImage(name, {
      outDir,
      cacheDir,
      guestDir: guestDirectory(import.meta.dirname),
      progress: say,
    });
    const { digest } = image.manifest;
    say({ image: { name, digest, bytes: image.bytes } });
    return 0;
  } catch (error) {
    const known =
      error instanceof RingwallError ? error : new RingwallError('internal', String(error), { cause: error });
    say({ error: known.toBody() });
    return 1;
  }
}

function readArguments(argv: readonly string[]): { name: string; outDir: string; cacheDir: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { out: { type: 'string' }, cache: { type: 'string' } },
    });
    const [name, ...rest] = positionals;
    if (name === undefined || rest.length > 0 || values.out === undefined)
      throw new Error('a name and --out are needed');
    return { name, outDir: values.out, cacheDir: values.cache ?? join(tmpdir(), `ringwall-cache-${userInfo().uid}`) };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new RingwallError(
      'bad-request',
      message.replace(/^[A-Z]/, (letter) => letter.toLowerCase()),
      { hint: USAGE, cause },
    );
  }
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

process.exitCode = await main(process.argv.slice(2));
