// What is different between two trees of files, name by name: for images before and after an update, or a break-in.
import { ParseError } from '@ringwall/bytes';
import { DiskError, type ByteSource, type DirectoryEntry, type FileNode } from '@ringwall/disk';

const CHUNK_BYTES = 256 * 1024;
const MAX_DEPTH = 2000;

export interface Difference {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed' | 'unreadable';
  /** Of a change: 'contents', 'mode 644 → 600', 'owner 0:0 → 33:33', …; why it could not be read. */
  readonly what: readonly string[];
}

/** In the order of names, depth first; what is below an added or removed directory is not repeated. */
export function* compareTrees(before: FileNode, after: FileNode): Generator<Difference> {
  yield* compareDirectories(before, after, []);
}

function* compareDirectories(before: FileNode, after: FileNode, names: readonly string[]): Generator<Difference> {
  const [old, now] = [entriesOf(before), entriesOf(after)];
  for (const name of [...new Set([...old.keys(), ...now.keys()])].toSorted()) {
    const inside = [...names, name];
    const path = `/${inside.join('/')}`;
    const [left, right] = [old.get(name), now.get(name)];
    if (left === undefined || right === undefined) {
      yield { path, change: left === undefined ? 'added' : 'removed', what: [] };
      continue;
    }
    try {
      const [leftNode, rightNode] = [left.node(), right.node()];
      const what = changesOf(leftNode, rightNode);
      if (what.length > 0) yield { path, change: 'changed', what };
      if (leftNode.kind === 'directory' && rightNode.kind === 'directory' && inside.length < MAX_DEPTH) {
        yield* compareDirectories(leftNode, rightNode, inside);
      }
    } catch (error) {
      if (!(error instanceof ParseError) && !(error instanceof DiskError)) throw error;
      yield { path, change: 'unreadable', what: [error.message] };
    }
  }
}

function entriesOf(directory: FileNode): ReadonlyMap<string, DirectoryEntry> {
  return new Map([...directory.entries()].map((entry) => [entry.name, entry]));
}

function changesOf(before: FileNode, after: FileNode): string[] {
  if (before.kind !== after.kind) return [`${before.kind} → ${after.kind}`];
  const changes: string[] = [];
  if (before.permissions !== after.permissions) {
    changes.push(`mode ${octal(before.permissions)} → ${octal(after.permissions)}`);
  }
  if (before.uid !== after.uid || before.gid !== after.gid) changes.push(`owner ${owner(before)} → ${owner(after)}`);
  if (before.kind === 'symlink' && before.target() !== after.target()) changes.push('target');
  if (before.kind === 'file' && !sameContents(before, after)) changes.push('contents');
  return changes;
}

function sameContents(before: FileNode, after: FileNode): boolean {
  if (before.size !== after.size) return false;
  const [left, right] = [before.open(), after.open()];
  for (let offset = 0; offset < left.size; offset += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, left.size - offset);
    if (!sameBytes(left, right, offset, length)) return false;
  }
  return true;
}

function sameBytes(left: ByteSource, right: ByteSource, offset: number, length: number): boolean {
  return Buffer.compare(left.read(offset, length), right.read(offset, length)) === 0;
}

function octal(permissions: number | undefined): string {
  return permissions === undefined ? 'none' : permissions.toString(8).padStart(3, '0');
}

function owner({ uid, gid }: FileNode): string {
  return `${uid === undefined ? '-' : String(uid)}:${gid === undefined ? '-' : String(gid)}`;
}
