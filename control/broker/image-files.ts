// The lists of what may run in an image, as the broker holds them: they come in parts over its socket, are believed by
// their digest alone, and are read when a machine is first judged by them.
import { createHash } from 'node:crypto';
import { RingwallError } from '@ringwall/api';
import {
  EvidenceError,
  indexRuntimeFiles,
  MAX_RUNTIME_FILES_BYTES,
  parseRuntimeFiles,
  type RuntimeIndex,
} from '@ringwall/evidence';
import type { WatchStore } from './watch-store.ts';

/** Indexes in memory: machines of one host are of few images. A list of a Debian takes some 2 MiB. */
const INDEXES_KEPT = 8;
/** Lists that are being sent: a daemon sends one at a time, and begins anew where it was cut off. */
const UPLOADS = 2;

export class ImageFiles {
  readonly #store: WatchStore;
  readonly #indexes = new Map<string, RuntimeIndex>();
  readonly #uploads = new Map<string, Uint8Array[]>();

  constructor(store: WatchStore) {
    this.#store = store;
  }

  has(sha256: string): boolean {
    return this.#indexes.has(sha256) || this.#store.hasFiles(sha256);
  }

  find(sha256: string): RuntimeIndex | undefined {
    const known = this.#indexes.get(sha256);
    if (known !== undefined) return known;
    const text = this.#store.findFiles(sha256);
    if (text === undefined) return undefined;
    const index = indexRuntimeFiles(parseRuntimeFiles(text));
    const oldest = [...this.#indexes.keys()].at(0);
    if (this.#indexes.size >= INDEXES_KEPT && oldest !== undefined) this.#indexes.delete(oldest);
    this.#indexes.set(sha256, index);
    return index;
  }

  /** Parts come in order; one at 0 begins anew. With the last one the whole must have the digest that it was sent by. */
  add(sha256: string, { offset, part, last }: { offset: number; part: Uint8Array; last: boolean }): void {
    if (offset === 0) this.#begin(sha256);
    const parts = this.#uploads.get(sha256);
    const held = parts?.reduce((bytes, each) => bytes + each.length, 0);
    if (parts === undefined || held !== offset) {
      throw new RingwallError(
        'conflict',
        `a part of a list at ${String(offset)}, ${String(held ?? 0)} bytes are here`,
        {
          hint: 'send it again from its beginning',
        },
      );
    }
    if (held + part.length > MAX_RUNTIME_FILES_BYTES) {
      this.#uploads.delete(sha256);
      throw new RingwallError('too-large', `a list of files of more than ${String(MAX_RUNTIME_FILES_BYTES)} bytes`);
    }
    parts.push(part);
    if (!last) return;
    this.#uploads.delete(sha256);
    const whole = Buffer.concat(parts);
    if (createHash('sha256').update(whole).digest('hex') !== sha256) {
      throw new RingwallError('bad-request', 'the list of files is not the one of its digest');
    }
    const text = whole.toString('utf8');
    try {
      parseRuntimeFiles(text);
    } catch (error) {
      if (error instanceof EvidenceError) throw new RingwallError('bad-request', error.message, { cause: error });
      throw error;
    }
    this.#store.addFiles(sha256, text);
  }

  #begin(sha256: string): void {
    const oldest = [...this.#uploads.keys()].at(0);
    if (!this.#uploads.has(sha256) && this.#uploads.size >= UPLOADS && oldest !== undefined) {
      this.#uploads.delete(oldest);
    }
    this.#uploads.set(sha256, []);
  }
}
