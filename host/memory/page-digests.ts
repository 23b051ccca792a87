// Digests of memory, by which the next copy of it knows what has changed: of pieces, to find changes fast, and of their pages, to tell
// which page it was. They stay in memory of ours, and end with it: on no disk is anything that tells of a page what is in it.
import { PAGE_BYTES } from '@ringwall/seal';
import { makeTextDigester } from '../seal/digest.ts';
import { COMPARED_BYTES } from './copy-job.ts';

/**
 * Kept of a BLAKE3 digest: characters of its base64url, 132 bits. A guest that finds two pages with the same (2^66 tries) spoils its own
 * snapshot, and nobody else's.
 */
const KEPT_CHARACTERS = 22;

/** In memory that threads share. All zero: of zeros. */
export interface PageDigests {
  readonly pieces: SharedArrayBuffer;
  readonly pages: SharedArrayBuffer;
}

export function makePageDigests(bytes: number): PageDigests {
  return {
    pieces: new SharedArrayBuffer(Math.ceil(bytes / COMPARED_BYTES) * KEPT_CHARACTERS),
    pages: new SharedArrayBuffer(Math.ceil(bytes / PAGE_BYTES) * KEPT_CHARACTERS),
  };
}

/** What a thread has of them. */
export class DigestTable {
  readonly #bytes: Buffer;

  constructor(memory: SharedArrayBuffer) {
    this.#bytes = Buffer.from(memory);
  }

  /** Undefined: of zeros. */
  get(index: number): string | undefined {
    const at = index * KEPT_CHARACTERS;
    return this.#bytes[at] === 0 ? undefined : this.#bytes.toString('latin1', at, at + KEPT_CHARACTERS);
  }

  set(index: number, digest: string | undefined): void {
    const at = index * KEPT_CHARACTERS;
    if (digest === undefined) this.#bytes.fill(0, at, at + KEPT_CHARACTERS);
    else this.#bytes.write(digest, at, KEPT_CHARACTERS, 'latin1');
  }

  /** So many as another table has them, from this one on. */
  take(other: DigestTable, index: number, count: number): void {
    const at = index * KEPT_CHARACTERS;
    other.#bytes.copy(this.#bytes, at, at, at + count * KEPT_CHARACTERS);
  }
}

const digestText = makeTextDigester(COMPARED_BYTES);
const ZEROS: Buffer = Buffer.alloc(COMPARED_BYTES);

/** Of at most a piece. */
export function isZero(bytes: Uint8Array): boolean {
  // The first byte of most says it.
  return (bytes[0] ?? 0) === 0 && ZEROS.subarray(0, bytes.length).equals(bytes);
}

/** As the tables have it. */
export function digestOf(bytes: Uint8Array): string | undefined {
  return isZero(bytes) ? undefined : digestText(bytes).slice(0, KEPT_CHARACTERS);
}
