// A file or a block device of this machine as a source. Only for reading: nothing here can alter what it looks at.
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../disk-error.ts';
import { deviceOfNumber } from '../filesystems/node-kind.ts';
import { checkRange, type ByteSource } from '../source/byte-source.ts';

/** Of block devices, whatever their own sectors are (Linux, Documentation/admin-guide/devices and /sys/dev/block). */
const SYSFS_SECTOR_BYTES = 512;

export class FileSource implements ByteSource, Disposable {
  readonly size: number;
  readonly #descriptor: number;

  private constructor(descriptor: number, size: number) {
    this.#descriptor = descriptor;
    this.size = size;
  }

  /** Throws what node:fs throws, and `DiskError` (`unrecognised`) for what is neither a file nor a block device. */
  static open(path: string): FileSource {
    // A FIFO or a terminal would make an open wait for ever.
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return new FileSource(descriptor, sizeOf(descriptor));
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(offset, length, this.size, 'file');
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    this.#fill(offset, bytes);
    return bytes;
  }

  readInto(offset: number, target: Uint8Array): void {
    checkRange(offset, target.length, this.size, 'file');
    this.#fill(offset, target);
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }

  #fill(offset: number, target: Uint8Array): void {
    for (let done = 0; done < target.length;) {
      const count = readSync(this.#descriptor, target, done, target.length - done, offset + done);
      if (count === 0) throw new ParseError('truncated', 'file', offset + done, 'has become shorter while it was read');
      done += count;
    }
  }
}

function sizeOf(descriptor: number): number {
  const status = fstatSync(descriptor);
  if (status.isFile()) return status.size;
  if (!status.isBlockDevice()) throw new DiskError('unrecognised', 'is neither a file nor a block device');
  const { major, minor } = deviceOfNumber(status.rdev);
  const sectors = readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8');
  return Number(sectors) * SYSFS_SECTOR_BYTES;
}
