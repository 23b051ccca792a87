// Kinds of nodes: from the mode word that Unix file systems store (POSIX, <sys/stat.h>), and the error for the wrong one.
import { DiskError } from '../disk-error.ts';
import type { FileKind } from './file-system.ts';

const KIND_OF_FORMAT: ReadonlyMap<number, FileKind> = new Map<number, FileKind>([
  [0x1, 'fifo'],
  [0x2, 'character-device'],
  [0x4, 'directory'],
  [0x6, 'block-device'],
  [0x8, 'file'],
  [0xa, 'symlink'],
  [0xc, 'socket'],
]);

/** In the order of their numbers in directories: of ext's `file_type`, which XFS and erofs took over. */
const KINDS_IN_DIRECTORIES: readonly (FileKind | undefined)[] = [
  undefined,
  'file',
  'directory',
  'character-device',
  'block-device',
  'fifo',
  'socket',
  'symlink',
];

/** What a directory says of an entry; undefined for 0 (nothing) and for a number that nobody has given. */
export function kindOfEntry(type: number): FileKind | undefined {
  return KINDS_IN_DIRECTORIES[type];
}

/** What a mode word (S_IFMT) says; undefined for a value that POSIX does not have. */
export function kindOfMode(mode: number): FileKind | undefined {
  return KIND_OF_FORMAT.get((mode >> 12) & 0xf);
}

/** Permission bits of a mode word, with set-uid, set-gid and sticky. */
export function permissionsOfMode(mode: number): number {
  return mode & 0o7777;
}

/** Linux's 32-bit device number: 12 bits of major between 8 and 12 bits of minor. */
export function deviceOfNumber(rdev: number): { readonly major: number; readonly minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xf_ff00) };
}

/** A node was asked for what another kind has. */
export function wrongKind(kind: FileKind, wanted: FileKind): DiskError {
  return new DiskError('wrong-kind', `is a ${kind}, expected a ${wanted}`);
}
