// The file systems of one disk. Each keeps what it has read (caches of some MiB, the map of a journal), and whoever made the disk
// chooses how many there are: only the one that was asked for last is kept, and another is opened anew.
import type { FileSystem } from './filesystems/file-system.ts';

/** File systems of a disk that are opened at all: twice as many as UEFI leaves room for partitions. */
export const MAX_VOLUMES = 256;

export interface FileSystemContents {
  readonly kind: 'file-system';
  /** Opened anew where another one of the disk was asked for since. */
  readonly fileSystem: FileSystem;
}

export class FileSystemsInUse {
  #last: { readonly contents: FileSystemContents; readonly fileSystem: FileSystem } | undefined;
  #volumes = 0;

  /** How many of `count` further volumes may be looked at. */
  room(count: number): number {
    const room = Math.min(count, MAX_VOLUMES - this.#volumes);
    this.#volumes += room;
    return room;
  }

  add(open: () => FileSystem): FileSystemContents {
    const fileSystemOf = (of: FileSystemContents): FileSystem => {
      if (this.#last?.contents !== of) this.#last = { contents: of, fileSystem: open() };
      return this.#last.fileSystem;
    };
    const contents: FileSystemContents = {
      kind: 'file-system',
      get fileSystem() {
        return fileSystemOf(contents);
      },
    };
    fileSystemOf(contents);
    return contents;
  }
}
