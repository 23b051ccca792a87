// From a path to a file, inside one file system: links are resolved as the system on that disk would resolve them, with its
// root as root, so that no path and no link leads out of it.
import { DiskError } from '../disk-error.ts';
import type { FileNode, FileSystem } from './file-system.ts';

/** As Linux has it (MAXSYMLINKS): more is a loop. */
const MAX_LINKS = 40;
/** PATH_MAX of Linux, with what links add on the way. */
const MAX_PARTS = 4096;

export interface PathOptions {
  /** A link at the end of the path is followed, too; true where nothing is said. */
  readonly followLast?: boolean;
}

/**
 * `path` is seen from the root, with or without a slash before it; `..` of the root is the root. Throws `DiskError`:
 * `not-found`, `wrong-kind` for a file in the place of a directory, `limit` for links without end.
 */
export function openPath({ root }: FileSystem, path: string, { followLast = true }: PathOptions = {}): FileNode {
  const waiting = partsOf(path).toReversed();
  let trail: FileNode[] = [root];
  let links = 0;
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const directory = trail.at(-1) ?? root;
    if (directory.kind !== 'directory') {
      throw new DiskError('wrong-kind', `${path}: a ${directory.kind} where a directory is needed`);
    }
    if (name === '..') {
      if (trail.length > 1) trail.pop();
      continue;
    }
    const node = directory.lookup(name);
    if (node === undefined) throw new DiskError('not-found', `${path}: there is no ${JSON.stringify(name)}`);
    if (node.kind !== 'symlink' || (waiting.length === 0 && !followLast)) {
      trail.push(node);
      continue;
    }
    links += 1;
    const target = node.target();
    const parts = partsOf(target);
    if (target === '') throw new DiskError('not-found', `${path}: ${JSON.stringify(name)} is a link to nothing`);
    if (links > MAX_LINKS || waiting.length + parts.length > MAX_PARTS) {
      throw new DiskError('limit', `${path}: more than ${MAX_LINKS} links, one after another`);
    }
    if (target.startsWith('/')) trail = [root];
    waiting.push(...parts.toReversed());
  }
  return trail.at(-1) ?? root;
}

/** The text of a small file, undefined where it is none, is larger, or does not lie there. */
export function readTextAt(fs: FileSystem, path: string, maxBytes: number): string | undefined {
  try {
    const node = openPath(fs, path);
    if (node.kind !== 'file') return undefined;
    const source = node.open();
    return source.size > maxBytes ? undefined : new TextDecoder().decode(source.read(0, source.size));
  } catch (error) {
    if (error instanceof DiskError) return undefined;
    throw error;
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
