// A copy of a machine's disk file, made while its guest writes to it and brought up to date in further turns. It has what the file
// has, which the guest has encrypted, and lies beside the snapshot until that is sealed.
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import type { Extent, MachineCopy } from './parts.ts';

/** Copied at a time. */
const PIECE_BYTES = 2 ** 20;
/** Copied again and again, each time what was written meanwhile, until this little is left or it does not get less. */
const SMALL_REST_BYTES = 16 * 2 ** 20;
const MAX_ROUNDS = 6;

export class DiskCopy implements AsyncDisposable {
  readonly #disk: FileHandle;
  readonly #copy: FileHandle;
  readonly bytes: number;

  private constructor(disk: FileHandle, copy: FileHandle, bytes: number) {
    this.#disk = disk;
    this.#copy = copy;
    this.bytes = bytes;
  }

  static async open(disk: string, copy: string): Promise<DiskCopy> {
    const from = await open(disk, 'r');
    try {
      const { size } = await from.stat();
      const to = await open(copy, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      await to.truncate(size);
      return new DiskCopy(from, to, size);
    } catch (error) {
      await from.close();
      throw error;
    }
  }

  get descriptor(): number {
    return this.#copy.fd;
  }

  /** While the guest works: all of it, then what was written meanwhile, so that little is left for the moment in which it stands still. */
  async follow(machine: MachineCopy): Promise<void> {
    await this.take(await machine.data());
    for (let round = 1, last = Number.POSITIVE_INFINITY; round <= MAX_ROUNDS; round += 1) {
      const left = await machine.writtenBytes();
      if (left <= SMALL_REST_BYTES || left >= last) return;
      last = left;
      await this.take(await machine.written());
    }
  }

  async take(extents: readonly Extent[]): Promise<void> {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (const { offset, length } of extents) {
      for (let at = offset; at < offset + length; at += PIECE_BYTES) {
        const wanted = Math.min(PIECE_BYTES, offset + length - at, this.bytes - at);
        const { bytesRead } = await this.#disk.read(piece, 0, wanted, at);
        if (bytesRead < wanted) throw new RingwallError('vmm-failed', `the disk ends at byte ${at + bytesRead}`);
        const { bytesWritten } = await this.#copy.write(piece, 0, wanted, at);
        if (bytesWritten < wanted) throw new RingwallError('host-full', 'the disk of this host is full');
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk.close();
    await this.#copy.close();
  }
}
