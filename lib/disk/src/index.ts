// The public names of @ringwall/disk.

export { DISK_ERROR_CODES, DiskError, type DiskErrorCode } from './disk-error.ts';
export type {
  DeletedFile,
  DirectoryEntry,
  FileKind,
  FileNode,
  FileSystem,
  FileSystemKind,
} from './filesystems/file-system.ts';
export { memorySource, windowOf, type ByteSource, type Extent } from './source/byte-source.ts';
export type { Codecs, Decompress } from './source/codecs.ts';
export { openSquashfs, type Squashfs } from './filesystems/squashfs/squashfs.ts';
