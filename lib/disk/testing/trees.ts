// Trees of files with what file systems find hard, and the comparison of such a tree with what a file system reads.
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
  openSync,
  closeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { FileKind, FileNode } from '../src/index.ts';
import { runTool } from './tools.ts';

/** Bytes that compress somewhat, different for each `seed`. */
export function textOf(seed: number, length: number): Buffer {
  const line = `line ${seed} of a file that holds the same again and again, and not quite; `;
  return Buffer.from(line.repeat(Math.ceil(length / line.length)).slice(0, length), 'latin1');
}

/** Sizes around `unit`, with contents that compress and that do not, holes, names, depth and links. */
export function makeTree(root: string, unit: number): void {
  mkdirSync(root);
  for (const [index, size] of [0, 1, unit - 1, unit, unit + 1, 3 * unit + 17].entries()) {
    writeFileSync(join(root, `text-${index}`), textOf(index, size));
    writeFileSync(join(root, `random-${index}`), randomBytes(size));
  }
  makeSparse(join(root, 'sparse'), unit);
  writeFileSync(join(root, 'zeros'), Buffer.alloc(5 * unit));
  writeFileSync(
    join(root, 'mixed'),
    Buffer.concat([textOf(9, unit * 5), randomBytes(unit * 3), textOf(8, unit * 7 + 5)]),
  );
  mkdirSync(join(root, 'empty'));
  mkdirSync(join(root, 'names'));
  for (const name of ['ä€😀', 'with space', 'UPPER', '.hidden', 'x'.repeat(200), 'ünïcödé.txt', '日本語のファイル']) {
    writeFileSync(join(root, 'names', name), name);
  }
  const deep = join(root, ...Array.from({ length: 40 }, (_, level) => `level${level}`));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, 'bottom'), 'at the bottom');
}

/** What only Unix file systems keep: links, owners, permissions, devices, times. Needs root. */
export function addUnixNodes(root: string): void {
  symlinkSync('text-1', join(root, 'link'));
  symlinkSync(`/${'long/'.repeat(100)}end`, join(root, 'long-link'));
  linkSync(join(root, 'mixed'), join(root, 'names', 'hard'));
  mkdirSync(join(root, 'nodes'));
  const node = (name: string, ...kind: readonly string[]): unknown =>
    runTool(['mknod', join(root, 'nodes', name), ...kind]);
  node('fifo', 'p');
  node('null', 'c', '1', '3');
  node('high', 'b', '259', '70000');
  chmodSync(join(root, 'text-2'), 0o4755);
  chmodSync(join(root, 'empty'), 0o1777);
  chownSync(join(root, 'text-3'), 70_000, 123_456);
  utimesSync(join(root, 'text-4'), 1_000_000_000, 1_000_000_000);
}

/** Extended attributes, small, large, and the same on several files. Needs root. */
export function addAttributes(root: string): void {
  const set = (file: string, name: string, value: string): unknown =>
    runTool(['setfattr', '-n', name, '-v', value, join(root, file)]);
  set('text-1', 'user.note', 'small');
  set('text-1', 'trusted.kept', 'x'.repeat(3000));
  for (const file of ['random-1', 'random-2', 'random-3', 'empty']) set(file, 'user.shared', 'y'.repeat(200));
  set('text-2', 'security.capability', '0x0100000200040000000000000000000000000000');
}

/** Attributes of the file `name` as they are read, with one letter for each byte. */
export function attributesAt(root: FileNode, name: string): Record<string, string> {
  const attributes = [...(root.lookup(name)?.extendedAttributes() ?? [])];
  return Object.fromEntries(attributes.map(([key, value]) => [key, Buffer.from(value).toString('latin1')]));
}

/** A directory of so many files that it needs an index. */
export function makeCrowd(root: string, count: number): void {
  mkdirSync(root);
  for (let index = 0; index < count; index += 1) {
    writeFileSync(join(root, `file-${String(index * 7919).padStart(9, '0')}`), textOf(index, index % 97));
  }
}

/** Everything about a node that a file system may keep, as a line. */
export interface Facts {
  readonly kind: FileKind;
  readonly contents: string;
  readonly permissions: number | undefined;
  readonly owner: string;
  readonly links: number | undefined;
  readonly modified: number;
  readonly device: string;
}

/** The tree of this machine at `root`: path to facts. */
export function factsOfFolder(root: string, path = ''): Map<string, Facts> {
  const facts = new Map<string, Facts>();
  for (const name of readdirSync(join(root, path))) {
    const inside = path === '' ? name : `${path}/${name}`;
    const at = join(root, inside);
    const stat = lstatSync(at);
    const kind = kindOf(stat);
    let contents = '';
    if (kind === 'file') contents = hashOf(readFileSync(at));
    if (kind === 'symlink') contents = readlinkSync(at);
    const isDevice = kind === 'block-device' || kind === 'character-device';
    facts.set(inside, {
      kind,
      contents,
      permissions: stat.mode & 0o7777,
      owner: `${stat.uid}:${stat.gid}`,
      links: kind === 'directory' ? undefined : stat.nlink,
      modified: Math.floor(stat.mtimeMs / 1000),
      device: isDevice ? deviceText(stat.rdev) : '',
    });
    if (kind === 'directory') for (const [below, more] of factsOfFolder(root, inside)) facts.set(below, more);
  }
  return facts;
}

/** The same of a file system, but for the paths that are passed over. */
export function factsOfNode(
  root: FileNode,
  path = '',
  facts: Map<string, Facts> = new Map(),
  passesOver: (inside: string) => boolean = () => false,
): Map<string, Facts> {
  for (const entry of root.entries()) {
    const inside = path === '' ? entry.name : `${path}/${entry.name}`;
    if (passesOver(inside)) continue;
    const node = entry.node();
    let contents = '';
    if (node.kind === 'file') contents = hashOf(node.open().read(0, node.size));
    if (node.kind === 'symlink') contents = node.target();
    facts.set(inside, {
      kind: node.kind,
      contents,
      permissions: node.permissions,
      owner: `${node.uid}:${node.gid}`,
      links: node.kind === 'directory' ? undefined : node.links,
      modified: Math.floor(node.modifiedAt / 1000),
      device: node.device === undefined ? '' : `${node.device.major}:${node.device.minor}`,
    });
    if (node.kind === 'directory') factsOfNode(node, inside, facts, passesOver);
  }
  return facts;
}

/** Only what every file system keeps. */
export function contentsOf(facts: ReadonlyMap<string, Facts>): Map<string, string> {
  return new Map([...facts].map(([path, { kind, contents }]) => [path, `${kind} ${contents}`]));
}

function makeSparse(path: string, unit: number): void {
  const descriptor = openSync(path, 'w');
  writeSync(descriptor, textOf(5, unit), 0, unit, 4 * unit);
  writeSync(descriptor, 'end of data', 20 * unit);
  closeSync(descriptor);
  truncateSync(path, 30 * unit + 3);
}

function hashOf(bytes: Uint8Array): string {
  return `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;
}

function kindOf(stat: ReturnType<typeof lstatSync>): FileKind {
  if (stat === undefined) throw new Error('is gone');
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'character-device';
  if (stat.isBlockDevice()) return 'block-device';
  return stat.isFIFO() ? 'fifo' : 'socket';
}

/** As glibc packs device numbers. */
function deviceText(rdev: number): string {
  const low = rdev % 2 ** 32;
  return `${(low >>> 8) & 0xfff}:${(low & 0xff) | ((low >>> 12) & 0xf_ff00)}`;
}
