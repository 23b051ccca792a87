// What every file system looks like from outside. Names and contents come from whoever wrote the disk: nothing here is a
// path of this machine, and a name may hold any byte but '/' and NUL.
import type { ByteSource } from '../source/byte-source.ts';

export type FileSystemKind =
  | 'ext2'
  | 'ext3'
  | 'ext4'
  | 'fat12'
  | 'fat16'
  | 'fat32'
  | 'xfs'
  | 'ntfs'
  | 'iso9660'
  | 'squashfs'
  | 'erofs';

export type FileKind = 'file' | 'directory' | 'symlink' | 'character-device' | 'block-device' | 'fifo' | 'socket';

export interface FileSystem {
  readonly kind: FileSystemKind;
  /** As the file system says; '' where it has none. */
  readonly label: string;
  /** As the file system's own tools print it; '' where it has none. */
  readonly uuid: string;
  /** Bytes that its superblock claims. */
  readonly size: number;
  /** What a reader must know of the state it is in, for people: a journal replayed or not, contents that stay encrypted. */
  readonly notes?: readonly string[];
  readonly root: FileNode;
  /** Files that were deleted and can still be read, as far as this file system keeps what is needed for it. */
  deletedFiles?(): Iterable<DeletedFile>;
}

/** One file, directory or other node, by its own number: its metadata is read once, its contents when asked for. */
export interface FileNode {
  /** Inode number or the like: unique in its file system; hard links share it. */
  readonly id: number;
  readonly kind: FileKind;
  /** Bytes of a file's contents, or of a link's target; 0 for anything else, whatever a directory takes on disk. */
  readonly size: number;
  /** Permission bits, 0o7777 at most, with set-uid, set-gid and sticky; undefined where the file system keeps none. */
  readonly permissions: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly links: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  /** Device numbers of a character or block device. */
  readonly device?: { readonly major: number; readonly minor: number };
  /** Contents (of a directory: its names too) are encrypted with a key of their own: `open` throws `DiskError` (`needs-key`). */
  readonly encrypted?: boolean;
  /** Of a directory, without '.' and '..', in the order on disk. Throws `DiskError` (`wrong-kind`) for anything else. */
  entries(): Iterable<DirectoryEntry>;
  /** One name of a directory, by the file system's own rule of equality and its own index where it has one. */
  lookup(name: string): FileNode | undefined;
  /** The contents of a file. Holes read as zeros, and `nextData` passes over them. Throws `wrong-kind`. */
  open(): ByteSource;
  /** Where a symbolic link points, as it is written. Throws `wrong-kind`. */
  target(): string;
  /** Extended attributes by their full name (`user.x`, `security.capability`), values as they are. */
  extendedAttributes(): ReadonlyMap<string, Uint8Array>;
}

export interface DirectoryEntry {
  /** Decoded as UTF-8 (or the file system's own encoding); what does not decode is kept byte for byte as U+DC80 to U+DCFF. */
  readonly name: string;
  /** As the directory says it, undefined where it does not; the node decides. */
  readonly kind: FileKind | undefined;
  readonly id: number;
  /** Reads the node's metadata. */
  node(): FileNode;
}

export interface DeletedFile {
  /** What is left of its name, undefined where nothing is. */
  readonly name: string | undefined;
  readonly node: FileNode;
  /** Blocks of it that something else uses by now: its contents are doubtful there. */
  readonly overwrittenBlocks: number;
}
