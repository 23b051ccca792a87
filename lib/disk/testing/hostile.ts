// Whether bytes keep the promise of this library: whatever they are, reading them ends in values, or in its own two errors.
import { ParseError } from '@ringwall/bytes';
import { DiskError, memorySource, type ByteSource, type FileNode, type FileSystem } from '../src/index.ts';

/** Enough to see every structure of a fixture; a tree that leads into itself stops here. */
const MAX_NODES = 200;
const MAX_DEPTH = 12;
const READ_BYTES = 32_768;

export type OpenFileSystem = (source: ByteSource) => FileSystem;

/** What `read` gives, undefined where it refuses. Any other error goes on, and fails the test. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ParseError || error instanceof DiskError) return undefined;
    throw error;
  }
}

/** Opens `bytes` and touches all that is in there. Returns how many nodes could be seen. */
export function exercise(bytes: Uint8Array, open: OpenFileSystem): number {
  const opened = attempt(() => open(memorySource(bytes)));
  if (opened === undefined) return 0;
  let nodes = 0;
  const visit = (node: FileNode, depth: number): void => {
    nodes += 1;
    touch(node);
    if (node.kind !== 'directory' || depth > MAX_DEPTH) return;
    attempt(() => {
      for (const entry of node.entries()) {
        if (nodes >= MAX_NODES) return;
        const child = attempt(() => entry.node());
        if (child !== undefined) visit(child, depth + 1);
        attempt(() => node.lookup(entry.name));
      }
    });
  };
  visit(opened.root, 0);
  attempt(() => {
    for (const deleted of opened.deletedFiles?.() ?? []) {
      nodes += 1;
      if (nodes >= MAX_NODES) return;
      touch(deleted.node);
    }
  });
  return nodes;
}

function touch(node: FileNode): void {
  attempt(() => [node.size, node.permissions, node.uid, node.gid, node.links, node.modifiedAt, node.device]);
  attempt(() => node.extendedAttributes());
  if (node.kind === 'symlink') attempt(() => node.target());
  if (node.kind !== 'file') return;
  attempt(() => {
    const contents = node.open();
    contents.read(0, Math.min(contents.size, READ_BYTES));
    contents.read(Math.max(contents.size - 10, 0), Math.min(contents.size, 10));
    contents.nextData?.(0);
  });
}

/** Numbers that look random and are the same in every run (xorshift32). */
export function seededNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

/** Offsets of blocks of 16 bytes of `bytes` that hold anything but zeros, or ones: where a change says something. */
export function livePlaces(bytes: Uint8Array): number[] {
  const places: number[] = [];
  for (let at = 0; at < bytes.length; at += 16)
    if (bytes.subarray(at, at + 16).some((byte) => byte !== 0 && byte !== 0xff)) places.push(at);
  return places;
}

const NASTY_VALUES = [0, 1, 2, 0x7f, 0x80, 0xff] as const;

/** `bytes` with one to three places changed: a byte, or a field of 2, 4 or 8 bytes set to an extreme. */
export function mutated(bytes: Uint8Array, places: readonly number[], random: (below: number) => number): Uint8Array {
  const changed = new Uint8Array(bytes);
  for (let count = random(3) + 1; count > 0; count -= 1) {
    const at = (places[random(places.length)] ?? 0) + random(16);
    const width = 2 ** random(4);
    if (random(2) === 0) changed[at] = random(256);
    else changed.fill(NASTY_VALUES[random(NASTY_VALUES.length)] ?? 0, at, at + width);
  }
  return changed;
}
