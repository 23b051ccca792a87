// A file of zeros beside the store that is given up when the disk is full: stopping and removing are written down before
// they are done, and are what makes room. It is made again once there is room.
import { closeSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * What this store, the broker's and the warden's records write for a dozen of stops and removals. Below what the warden
 * calls full (1 MiB): the guests that a full disk has stopped must not go on and take it.
 */
export const RESERVE_BYTES: number = 768 * 1024;

/** With less than this the disk counts as full. As the warden's. */
const FULL_BYTES = 1024 * 1024;

/** Made again only where as much is left beside it, so that it is never the reserve itself that fills the disk. */
const ROOM_BYTES: number = RESERVE_BYTES + 4 * FULL_BYTES;

const RETRY_MS = 10_000;

export class Reserve implements Disposable {
  readonly #path: string;
  #held: boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#held = sizeOf(path) === RESERVE_BYTES;
    if (!this.#held) this.#makeLater();
  }

  /** What an operator is told; undefined while there is room. */
  get trouble(): string | undefined {
    const folder = dirname(this.#path);
    if (freeBytes(folder) >= FULL_BYTES) return undefined;
    return `the disk that holds ${folder} is full: stopping and removing machines still works, nothing else does`;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Says whether there was something to give up: only then a second attempt makes sense. */
  giveUp(): boolean {
    if (!this.#held) return false;
    rmSync(this.#path, { force: true });
    this.#held = false;
    this.#makeLater();
    return true;
  }

  /** Says whether it is there. */
  make(): boolean {
    if (this.#held) return true;
    try {
      if (freeBytes(dirname(this.#path)) < ROOM_BYTES) return false;
      writeZeros(this.#path);
    } catch {
      // Somebody was faster in filling the disk. What was written of it goes, for others need it more.
      rmSync(this.#path, { force: true });
      return false;
    }
    this.#held = true;
    clearInterval(this.#timer);
    return true;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #makeLater(): void {
    if (this.make()) return;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.make(), RETRY_MS).unref();
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** Written, not only made long: a sparse file reserves nothing. */
function writeZeros(path: string): void {
  const file = openSync(path, 'w', 0o600);
  try {
    let left = RESERVE_BYTES;
    while (left > 0) left -= writeSync(file, new Uint8Array(left));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
