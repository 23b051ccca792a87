// Tables of fixed-size entries inside an image (L1, L2, grain tables, block allocation tables), read in pages and kept in the
// chain's cache, so that no table is ever held whole and a lookup costs one small read at most.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from './byte-source.ts';
import type { CacheSection } from './byte-cache.ts';

/** As much as one system call reads for little more than its own cost, and what QEMU takes for a slice of an L2 table. */
const PAGE_BYTES = 4096;

export interface TablePage {
  readonly view: DataView;
  /** Where the page begins in the image. */
  readonly start: number;
}

export class TablePages {
  readonly #source: ByteSource;
  readonly #cache: CacheSection;
  // Two pages beside the cache: a walk goes back and forth between an upper table and a lower one.
  #last: TablePage | undefined;
  #previous: TablePage | undefined;

  constructor(source: ByteSource, cache: CacheSection) {
    this.#source = source;
    this.#cache = cache;
  }

  /** The page with the whole entry of `entryBytes` (a divisor of the page) at `offset`; `field` names the entry. */
  at(offset: number, entryBytes: number, field: string): TablePage {
    const start = offset - (offset % PAGE_BYTES);
    let page = this.#last;
    if (page?.start !== start) {
      page = this.#previous?.start === start ? this.#previous : this.#load(start, offset, field);
      this.#previous = this.#last;
      this.#last = page;
    }
    if (offset - start + entryBytes > page.view.byteLength) throw truncated(field, offset);
    return page;
  }

  #load(start: number, offset: number, field: string): TablePage {
    if (start >= this.#source.size) throw truncated(field, offset);
    let bytes = this.#cache.get(start);
    if (bytes === undefined) {
      bytes = this.#source.read(start, Math.min(PAGE_BYTES, this.#source.size - start));
      this.#cache.set(start, bytes);
    }
    return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), start };
  }
}

function truncated(field: string, offset: number): ParseError {
  return new ParseError('truncated', field, offset, `lies at ${offset}, beyond the end of the image`);
}
