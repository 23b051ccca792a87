// `ringwall images`: what machines boot on this host, from which packages; `images build` makes one, or makes it anew.
import type { Image } from '@ringwall/api';
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../invocation.ts';
import { followOperation, whileWatching } from '../operations.ts';
import { renderOutdated } from '../outdated-image.ts';
import { formatAge, formatBytes } from '../quantities.ts';
import { renderTable, type Cell } from '../table.ts';
import { plainText, type Terminal } from '../terminal.ts';

/** Of 64 hex digits: enough to tell images of one host apart. `--json` has all. */
const SHOWN_DIGEST_CHARACTERS = 16;

export async function run(invocation: Invocation): Promise<void> {
  const { self, flags, json, out, now } = invocation;
  const [action, name] = invocation.arguments;
  if (action === undefined) {
    if (flags.has('rebuild')) throw usage('--rebuild needs an image', `as in: ${self} images build hello --rebuild`);
    const list = await invocation.withApi((api) => api.call('listImages'));
    if (json) printJson(invocation, list);
    else for (const line of renderImages(list.images, out, self, now())) out.line(line);
    return;
  }
  if (action !== 'build') {
    throw usage(
      `images has no ${JSON.stringify(action)}`,
      `list them: ${self} images\nbuild one: ${self} images build NAME`,
    );
  }
  if (name === undefined) throw usage('no image is named', `as in: ${self} images build hello`);
  await build(invocation, name, flags.has('rebuild'));
}

async function build(invocation: Invocation, name: string, rebuild: boolean): Promise<void> {
  const { self, json, out } = invocation;
  await invocation.needServices();
  const before = await findImage(invocation, name);
  using progress = invocation.progress();
  try {
    const body = rebuild ? { rebuild } : {};
    const { operation } = await invocation.api.call('buildImage', { params: { image: name }, body });
    const farewell = `The image ${name} goes on being built. See: ${self} images`;
    await whileWatching(invocation, farewell, () => followOperation(invocation, operation, progress));
  } catch (error) {
    progress.fail();
    throw error;
  }
  const image = await findImage(invocation, name);
  const outcome = outcomeOf(before, image, rebuild);
  if (json) printJson(invocation, { image, outcome });
  else out.line(SENTENCES[outcome](name, image, self));
}

type BuildOutcome = 'there already' | 'built' | 'the same' | 'another';

function outcomeOf(before: Image | undefined, image: Image | undefined, rebuild: boolean): BuildOutcome {
  if (before?.built !== true) return 'built';
  if (!rebuild) return 'there already';
  return before.digest === image?.digest ? 'the same' : 'another';
}

const SENTENCES: Readonly<Record<BuildOutcome, (name: string, image: Image | undefined, self: string) => string>> = {
  'there already': (name, image, self) =>
    `${name} is there already${digestOf(image)}.\nWith the packages of today: ${self} images build ${name} --rebuild`,
  built: (name, image, self) => `${name} is built${digestOf(image)}. Run it: ${self} run ${name}`,
  'the same': (name, image) => `${name} was built anew, and came out the same${digestOf(image)}.`,
  another: (name, image, self) =>
    `${name} was built anew${digestOf(image)}. Machines take it at their next start, once it is accepted: ${self} reference build ${name}`,
};

function digestOf(image: Image | undefined): string {
  return image?.digest === undefined ? '' : `: ${shorten(image.digest)}`;
}

async function findImage(invocation: Invocation, name: string): Promise<Image | undefined> {
  const { images } = await invocation.withApi((api) => api.call('listImages'));
  return images.find((image) => image.name === name);
}

export function renderImages(images: readonly Image[], terminal: Terminal, self: string, nowMs: number): string[] {
  const rows = images.map(({ name, built, digest, bytes, builtAt, kernel, packages, title }): Cell[] => [
    { text: plainText(name), style: 'bold' },
    { text: digest === undefined ? '' : shorten(digest) },
    { text: bytes === undefined ? '' : formatBytes(bytes) },
    built ? { text: builtAt === undefined ? '' : formatAge(builtAt, nowMs) } : { text: 'not built', style: 'yellow' },
    { text: kernel === undefined ? '' : originOf(kernel, packages ?? []) },
    { text: plainText(title), style: 'dim' },
  ]);
  const table = renderTable(
    terminal,
    [
      { title: 'NAME' },
      { title: 'DIGEST' },
      { title: 'SIZE', align: 'right' },
      { title: 'AGE', align: 'right' },
      { title: 'BUILT FROM' },
      { title: 'WHAT IT IS', elastic: true },
    ],
    rows,
  );
  const outdated = images.flatMap((image) => renderOutdated(image, terminal, self));
  const told = outdated.length === 0 ? table : [...table, '', ...outdated];
  const missing = images.find(({ built }) => !built);
  if (missing === undefined) return told;
  return [...told, '', `What is missing is built when it is needed, or now: ${self} images build ${missing.name}`];
}

function originOf(kernel: string, packages: readonly unknown[]): string {
  const count = packages.length === 1 ? '1 package' : `${String(packages.length)} packages`;
  return plainText(`Linux ${kernel}, ${count} of Debian`);
}

function shorten(digest: string): string {
  return digest.slice(0, SHOWN_DIGEST_CHARACTERS);
}

function usage(message: string, hint: string): RingwallError {
  return new RingwallError('bad-request', message, { hint });
}
