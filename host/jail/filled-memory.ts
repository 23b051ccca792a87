// The memory of a jail that is not empty at first: filled before its program is there, or while that starts. Whatever comes of it, nobody
// writes to the file any more once this is disposed of.
import type { FileHandle } from 'node:fs/promises';
import { openMemoryFile } from './memory-file.ts';

/** Of stat(2), whatever the file system's own are. */
const STAT_BLOCK_BYTES = 512;

export interface JailMemory {
  /** Becomes a file system of its own, with the file alone. */
  readonly dir: string;
  readonly bytes: number;
  /** Where the process finds the file. */
  readonly target: string;
  /**
   * Puts into it what it holds at first; to be broken off where the signal says so. What we put in is charged to us: the limit of the
   * process is less by as much.
   */
  readonly fill?: (descriptor: number, signal: AbortSignal) => Promise<void>;
  /**
   * The program starts meanwhile. For one that is known to use nothing of it until it is told to, by somebody who waits until the jail
   * is there: where the memory cannot be filled, the program is ended, and there is none.
   */
  readonly fillsMeanwhile?: boolean;
}

export class FilledMemory implements AsyncDisposable {
  readonly #opened: Promise<FileHandle>;
  readonly #filledBytes: Promise<number>;
  readonly #stop = new AbortController();

  /** Begins at once. */
  constructor({ dir, bytes, fill }: JailMemory, uid: number) {
    this.#opened = openMemoryFile(dir, { uid, bytes });
    this.#filledBytes = this.#fill(fill);
    this.#filledBytes.catch(() => undefined); // told to whoever waits for it
  }

  /** The file is there, as long as it stays. */
  async opened(): Promise<void> {
    await this.#opened;
  }

  /** How much of it we have filled, once that is done. Rejects with what `fill` does. */
  filledBytes(): Promise<number> {
    return this.#filledBytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled([this.#filledBytes]);
    const file = await this.#opened.catch(() => undefined);
    await file?.close();
  }

  async #fill(fill: JailMemory['fill']): Promise<number> {
    const file = await this.#opened;
    await fill?.(file.fd, this.#stop.signal);
    const { blocks } = await file.stat();
    return blocks * STAT_BLOCK_BYTES;
  }
}
