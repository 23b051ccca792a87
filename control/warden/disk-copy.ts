// A copy of one disk file of a machine, made while its guest writes to it and brought up to date in further turns. It has what the file
// has, which the guest or the VMM has encrypted, and lies beside the snapshot until that is sealed.
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { PAGE_BYTES } from '@ringwall/seal';
import type { Extent } from './parts.ts';

/** Copied at a time. */
const PIECE_BYTES = 2 ** 20;

export class DiskCopy implements AsyncDisposable {
  readonly #disk: FileHandle;
  readonly #copy: FileHandle;
  readonly bytes: number;
  /** A bit for each page, the lowest first. */
  readonly #untaken: Uint8Array;

  private constructor(disk: FileHandle, copy: FileHandle, bytes: number) {
    this.#disk = disk;
    this.#copy = copy;
    this.bytes = bytes;
    this.#untaken = new Uint8Array(Math.ceil(bytes / PAGE_BYTES / 8)).fill(0xff);
  }

  static async open(disk: string, copy: string, bytes: number): Promise<DiskCopy> {
    const from = await open(disk, 'r');
    try {
      const { size } = await from.stat();
      if (size !== bytes) {
        throw new RingwallError('vmm-failed', `a disk of ${bytes} bytes has become one of ${size}`, {
          hint: 'the VMM has changed its length: treat this machine as broken into',
        });
      }
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

  /** Of each page, the lowest bit first, whether none of it was taken: in a copy that continues another, it is as it was there. */
  get untaken(): Uint8Array {
    return this.#untaken;
  }

  async take(extents: readonly Extent[]): Promise<void> {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (const { offset, length } of extents) {
      if (offset + length > this.bytes) {
        throw new RingwallError('vmm-failed', `QEMU names byte ${offset + length} of a disk of ${this.bytes}`);
      }
      this.#mark(offset, length);
      for (let at = offset; at < offset + length; at += PIECE_BYTES) {
        const wanted = Math.min(PIECE_BYTES, offset + length - at);
        const { bytesRead } = await this.#disk.read(piece, 0, wanted, at);
        if (bytesRead < wanted) throw new RingwallError('vmm-failed', `the disk ends at byte ${at + bytesRead}`);
        const { bytesWritten } = await this.#copy.write(piece, 0, wanted, at);
        if (bytesWritten < wanted) throw new RingwallError('host-full', 'the disk of this host is full');
      }
    }
  }

  #mark(offset: number, length: number): void {
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < offset + length; page += 1) {
      // A disk may have more pages than an integer of 32 bits counts.
      const at = Math.floor(page / 8);
      this.#untaken[at] = (this.#untaken[at] ?? 0) & ~(1 << (page % 8));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk.close();
    await this.#copy.close();
  }
}
