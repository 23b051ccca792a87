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

export class ByteCache {
  readonly #limitBytes: number;
  /** In order of last use: a Set keeps the order of insertion. */
  readonly #byUse = new Set<Entry>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
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
  }
}
