// Blocks that were read or decompressed, kept within one budget of bytes that all images of a chain share: whoever writes an
// image chooses how many blocks it has and how large, and whoever writes a chain how many images.

/** One image's blocks in a `ByteCache`, by number. */
export interface CacheSection {
  get(key: number): Uint8Array | undefined;
  /** Keeps `bytes`, and forgets what was not used for longest. */
  set(key: number, bytes: Uint8Array): void;
}

interface Entry {
  readonly section: Map<number, Entry>;
  readonly key: number;
  readonly bytes: Uint8Array;
}

/** Below, an allocator keeps the memory for itself, and may have cut it out of something larger. */
const GIVEN_BACK_FROM_BYTES = 2 ** 19;

/**
 * Gives the memory of a block back that nobody else holds. A collector of garbage comes when some 64 MiB wait for it, and while it
 * works as much again can come together: half of what a reader may take, out of blocks of 2 MiB that were read once.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < GIVEN_BACK_FROM_BYTES || buffer.byteLength > byteLength + 1) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

export class ByteCache {
  readonly #limitBytes: number;
  readonly #forgotten: (bytes: Uint8Array) => void;
  /** In order of last use: a Set keeps the order of insertion. */
  readonly #byUse = new Set<Entry>();
  #bytes = 0;

  constructor(limitBytes: number, forgotten: (bytes: Uint8Array) => void = () => {}) {
    this.#limitBytes = limitBytes;
    this.#forgotten = forgotten;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A space of keys of its own within the same budget. */
  section(): CacheSection {
    const section = new Map<number, Entry>();
    return {
      get: (key) => {
        const entry = section.get(key);
        if (entry === undefined) return undefined;
        this.#byUse.delete(entry);
        this.#byUse.add(entry);
        return entry.bytes;
      },
      set: (key, bytes) => {
        const old = section.get(key);
        if (old !== undefined) this.#forget(old);
        // What alone is larger than the budget is never kept.
        if (bytes.length > this.#limitBytes) return;
        const entry = { section, key, bytes };
        section.set(key, entry);
        this.#byUse.add(entry);
        this.#bytes += bytes.length;
        for (const oldest of this.#byUse) {
          if (this.#bytes <= this.#limitBytes) return;
          this.#forget(oldest);
        }
      },
    };
  }

  #forget(entry: Entry): void {
    entry.section.delete(entry.key);
    this.#byUse.delete(entry);
    this.#bytes -= entry.bytes.length;
    this.#forgotten(entry.bytes);
  }
}
