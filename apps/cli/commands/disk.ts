// `ringwall disk`: looks into disk images of any kind without mounting them, with no service, no right but to read the file,
// and no help of the kernel: hostile bytes meet our own parsers only. `import` and `rm` make and remove disks of this host.
import { RingwallError } from '@ringwall/api/errors';
import { openPath } from '@ringwall/disk';
import { keysOf } from '../disk/disk-keys.ts';
import type { Difference } from '../disk/difference.ts';
import { shownName } from '../disk/file-names.ts';
import { findNamedDisk } from '../disk/machine-disk.ts';
import { chooseFileSystem, openTarget, readingFrom, type OpenTarget } from '../disk/open-target.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { formatBytes } from '../quantities.ts';

/** Written to standard output at once. */
const CHUNK_BYTES = 1024 * 1024;

/** Each loads what it alone needs: a file is printed without the rules of exposure. */
type Look = (invocation: Invocation, target: OpenTarget) => Promise<void>;
type Action = (invocation: Invocation, path: string) => void | Promise<void>;

const ACTIONS: Readonly<Record<string, Action>> = {
  inspect: looking(inspect),
  ls: looking(list),
  cat: looking(cat),
  extract: looking(extract),
  diff: looking(diff),
  import: importImage,
  rm: removeDisks,
};

export async function run(invocation: Invocation): Promise<void> {
  const [name = '', path] = invocation.arguments;
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) {
    throw usage(`disk has no ${JSON.stringify(name)}`, `it has ${Object.keys(ACTIONS).join(', ')}`);
  }
  if (path === undefined) {
    throw name === 'rm'
      ? usage('disk rm needs the name of a disk', `see them all: ${invocation.self} disks`)
      : usage(`disk ${name} needs an image`, `as in: ${invocation.self} disk ${name} stolen.vmdk`);
  }
  await action(invocation, path);
}

/** What only looks opens the disk with all that is in it, and closes it. */
function looking(look: Look): Action {
  return async (invocation, path) => {
    using target = await openNamed(invocation, path);
    await look(invocation, target);
  };
}

/** An image by its path, or the disk of a machine by its name. */
async function openNamed(invocation: Invocation, word: string): Promise<OpenTarget> {
  const { err, values } = invocation;
  const { path, format, notes } = await findNamedDisk(invocation, word);
  for (const note of notes) err.line(`${err.bang} ${note}`);
  return openTarget(path, { keys: keysOf(invocation), member: values.get('disk'), format });
}

async function importImage(invocation: Invocation, path: string): Promise<void> {
  const { flags, values } = invocation;
  const { importDisk, openToImport } = await import('./disk-import.ts');
  const how = { member: values.get('disk'), alongside: flags.has('alongside') };
  using source = await openToImport(invocation, path, how);
  await importDisk(invocation, source);
}

async function removeDisks(invocation: Invocation): Promise<void> {
  const { out, json, self } = invocation;
  const [, ...names] = invocation.arguments;
  for (const name of names) {
    await invocation.withApi((api) => api.call('removeDisk', { params: { disk: name } }));
    if (json) continue;
    out.line(`${name} is removed: its key is destroyed, no copy of it can be read again.`);
    out.line(`The signed record of that: ${self} key erasure disk:${name}`);
  }
  if (json) printJson(invocation, { removed: names });
}

async function inspect(invocation: Invocation, target: OpenTarget): Promise<void> {
  const { documentOf, inspectTarget, renderDiskReport } = await import('../disk/exposure-report.ts');
  const { out, flags, json } = invocation;
  const report = readingFrom(target.path, () => inspectTarget(target));
  if (json) printJson(invocation, documentOf(report));
  else for (const line of renderDiskReport(report, out, flags.has('all'))) out.line(line);
}

async function list(invocation: Invocation, target: OpenTarget): Promise<void> {
  const { describeEntry, describeNode, renderListing } = await import('../disk/listing.ts');
  const { out, json } = invocation;
  const path = invocation.arguments[2] ?? '/';
  const files = readingFrom(target.path, () => {
    const node = openPath(chooseFileSystem(target, invocation.values.get('volume')), path);
    return node.kind === 'directory' ? [...node.entries()].map(describeEntry) : [describeNode(path, node)];
  });
  const sorted = files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  if (json) printJson(invocation, { path, files: sorted });
  else for (const line of renderListing(sorted, out)) out.line(line);
}

async function cat(invocation: Invocation, target: OpenTarget): Promise<void> {
  const { out } = invocation;
  const [, , path] = invocation.arguments;
  if (path === undefined)
    throw usage('no file inside is named', `as in: ${invocation.self} disk cat stolen.vmdk /etc/hostname`);
  const source = readingFrom(target.path, () =>
    openPath(chooseFileSystem(target, invocation.values.get('volume')), path).open(),
  );
  for (let offset = 0; offset < source.size; offset += CHUNK_BYTES) {
    const bytes = readingFrom(target.path, () => source.read(offset, Math.min(CHUNK_BYTES, source.size - offset)));
    await out.bytes(bytes);
  }
}

async function extract(invocation: Invocation, target: OpenTarget): Promise<void> {
  const { extractTree } = await import('../disk/extract.ts');
  const { out, json, values } = invocation;
  const path = invocation.arguments[2] ?? '/';
  const output = values.get('output');
  if (output === undefined)
    throw usage('no directory to write to is named', `as in: ${invocation.self} disk extract stolen.vmdk /etc -o etc`);
  const node = readingFrom(target.path, () => openPath(chooseFileSystem(target, values.get('volume')), path));
  const done = readingFrom(target.path, () => extractTree(node, output));
  if (json) {
    printJson(invocation, done);
    return;
  }
  for (const { path: left, reason } of done.leftOut) out.line(`${out.bang} left out ${left}: ${shownName(reason)}`);
  out.line(
    `${String(done.files)} files (${formatBytes(done.bytes)}), ${String(done.links)} links and ${String(done.directories)} directories are in ${output}.`,
  );
}

async function diff(invocation: Invocation, before: OpenTarget): Promise<void> {
  const { compareTrees } = await import('../disk/difference.ts');
  const { out, json } = invocation;
  const [, , other, path = '/'] = invocation.arguments;
  if (other === undefined)
    throw usage('diff needs two images', `as in: ${invocation.self} disk diff before.qcow2 after.qcow2 /etc`);
  using after = await openNamed(invocation, other);
  const wanted = invocation.values.get('volume');
  const differences: Difference[] = readingFrom(`${before.path} and ${after.path}`, () => [
    ...compareTrees(openPath(chooseFileSystem(before, wanted), path), openPath(chooseFileSystem(after, wanted), path)),
  ]);
  if (json) {
    printJson(invocation, { path, differences });
    return;
  }
  for (const each of differences)
    out.line(
      `${SIGNS[each.change]} ${shownName(each.path)}${each.what.length === 0 ? '' : `  ${each.what.join(', ')}`}`,
    );
  if (differences.length === 0) out.line('Both are the same.');
}

const SIGNS: Readonly<Record<Difference['change'], string>> = {
  added: '+',
  removed: '-',
  changed: '~',
  unreadable: '!',
};

function usage(message: string, hint: string): RingwallError {
  return new RingwallError('bad-request', message, { hint });
}
