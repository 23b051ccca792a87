// One lane of sealing: takes the next chunk, and reads, encrypts, digests and writes it while others do theirs. Chunks without data need no
// place of their own, so that no lane waits with one.
import { PAGE_BYTES, SealError } from '@ringwall/seal';
import {
  DIGEST_BYTES,
  emptinessOf,
  packPages,
  RECORD_HEADER_BYTES,
  recordTypeOf,
  runsOf,
  TAG_BYTES,
  type RecordType,
  type Run,
} from '@ringwall/seal/engine';
import { ChunkQueue, type RecordPlace } from './chunk-queue.ts';
import { compressChunk } from './compression.ts';
import { hasPage, type Lane, type Region, type SealJob } from './jobs.ts';
import { OwedWrites } from './owed-writes.ts';
import { readPlace, viewPlace } from './place.ts';
import { RecordMemory, type SealedRecord } from './record-memory.ts';
import { release } from './release.ts';
import { Relay } from './relay.ts';

const EMPTY_KINDS = ['none', 'zeros', 'kept'] as const;
const NOTHING: Uint8Array = new Uint8Array();
/** Of a chunk that nobody need read. */
const wholly = (kind: 'kept' | 'zeros'): readonly Run[] => [{ kind, at: 0, length: PAGE_BYTES }];
const WHOLLY_KEPT: readonly Run[] = wholly('kept');
const WHOLLY_ZEROS: readonly Run[] = wholly('zeros');

/** Places that one lane gives before it writes what it owes: others wait for that. */
const MAX_MARKS = 64;
/** Chunks that one lane has sealed and not written, at most: with more, the file is what all wait for. */
const MAX_OWED = 3;

/** A record that is to be made. */
interface Due {
  readonly type: Exclude<RecordType, 'end'>;
  readonly chunks: number;
  readonly index: number;
  readonly plaintext: Uint8Array;
}

interface Placed extends Due, RecordPlace {}

export class SealingLane implements Lane {
  readonly #job: SealJob;
  readonly #relay: Relay;
  readonly #queue: ChunkQueue;
  /** Those with nothing in them that is still to be written. */
  readonly #free: RecordMemory[];
  /** For records without contents, while one with contents waits for its place. */
  readonly #mark: RecordMemory;
  readonly #owed: OwedWrites;
  readonly #chunk: Uint8Array;
  readonly #zeros: Buffer;
  readonly #chunks: number;
  readonly #compresses: boolean;

  constructor(job: SealJob) {
    const { chunkBytes } = job.keys.manifest;
    this.#job = job;
    this.#relay = new Relay(job.relay);
    this.#queue = new ChunkQueue(job.queue, this.#relay);
    this.#free = Array.from({ length: MAX_OWED + 1 }, () => new RecordMemory(job.keys, chunkBytes));
    this.#mark = new RecordMemory(job.keys, 0);
    this.#owed = new OwedWrites(job.object, this.#relay);
    this.#chunk = new Uint8Array(chunkBytes);
    this.#zeros = Buffer.alloc(chunkBytes);
    this.#chunks = Math.ceil(job.bytes / chunkBytes);
    this.#compresses = job.keys.manifest.compression === 'zstd';
  }

  step(): boolean {
    const index = this.#relay.claim();
    if (index >= this.#chunks) {
      this.#placeRest();
      this.#owed.settle();
      return false;
    }
    const region = this.#regionOf(index);
    const known = this.#knownOf(index, region);
    const chunk = known === undefined ? this.#read(index, region) : NOTHING;
    const runs = known ?? this.#runsOf(index, chunk, region);
    const kind = emptinessOf(runs);
    if (kind === undefined) this.#store(this.#compressed({ ...this.#stored(chunk, runs), chunks: 1, index }));
    else {
      this.#queue.post(index, kind);
      this.#placePosted();
    }
    this.#relay.addDone(1);
    return true;
  }

  #store(record: Due): void {
    const { index } = record;
    this.#queue.post(index, bytesOf(record));
    this.#placePosted();
    const memory = this.#freeMemory();
    const sealed = memory.seal(record.type, record);
    let place = this.#queue.takePlace(index);
    while (place === undefined) {
      this.#queue.waitForPlace(index);
      this.#placePosted();
      place = this.#queue.takePlace(index);
    }
    this.#write(sealed, place, () => this.#free.push(memory));
    // The chunk's own memory is read to again.
    if (record.type !== 'data') release(record.plaintext);
  }

  /** Gives each chunk whose turn it is its place, and writes what says where others are not. */
  #placePosted(): void {
    const placed = this.#relay.exclusively(() => this.#place());
    for (const due of placed) {
      const { record, leaf } = this.#mark.seal(due.type, due);
      this.#write({ record: record.slice(), leaf }, due);
    }
  }

  #freeMemory(): RecordMemory {
    if (this.#free.length === 0) this.#owed.settle();
    const memory = this.#free.pop();
    if (memory === undefined) throw new Error('what was written has not given its memory back');
    return memory;
  }

  /** What was posted last of all has its place from whichever lane comes by. */
  #placeRest(): void {
    while (this.#queue.placed < this.#chunks) {
      this.#placePosted();
      if (this.#queue.placed < this.#chunks) this.#queue.waitForPlace(this.#queue.placed);
    }
  }

  /** Alone. Gives the records of chunks that are not stored. */
  #place(): readonly Placed[] {
    const marks: Placed[] = [];
    while (marks.length < MAX_MARKS && this.#relay.hasRoom) {
      const next = this.#queue.next();
      if (next === undefined) break;
      const { chunk, posted } = next;
      const stored = typeof posted === 'number' ? posted : undefined;
      marks.push(...this.#emptyBefore(chunk, typeof posted === 'number' ? undefined : posted));
      this.#queue.advance(stored === undefined ? undefined : this.#relay.place(stored));
      if (chunk === this.#chunks - 1) marks.push(...this.#emptyBefore(this.#chunks, undefined));
    }
    return marks;
  }

  /** Alone. Counts a chunk of this kind; gives the record of those before it, where they were of another. */
  #emptyBefore(index: number, kind: 'zeros' | 'kept' | undefined): readonly Placed[] {
    const before = EMPTY_KINDS[this.#relay.get('emptyKind')];
    const chunks = this.#relay.get('emptyChunks');
    const isSame = before === kind;
    this.#relay.set('emptyKind', EMPTY_KINDS.indexOf(kind ?? 'none'));
    this.#relay.set('emptyChunks', kind === undefined ? 0 : (isSame ? chunks : 0) + 1);
    if (isSame || (before !== 'zeros' && before !== 'kept')) return [];
    const mark: Due = { type: before, chunks, index: index - chunks, plaintext: NOTHING };
    return [{ ...mark, ...this.#relay.place(bytesOf(mark)) }];
  }

  #regionOf(index: number): Region | undefined {
    const at = index * this.#job.keys.manifest.chunkBytes;
    return this.#job.regions.find(({ offset, bytes }) => offset <= at && at < offset + bytes);
  }

  /** Of what is wholly zero, or as in the parent, nobody need read anything. */
  #knownOf(index: number, region: Region | undefined): readonly Run[] | undefined {
    if (region?.kept !== undefined && this.#isWholly(new Uint8Array(region.kept), index, region)) return WHOLLY_KEPT;
    if (region?.zeros !== undefined && this.#isWholly(new Uint8Array(region.zeros), index, region)) return WHOLLY_ZEROS;
    return undefined;
  }

  #isWholly(bits: Uint8Array, index: number, region: Region): boolean {
    const { chunkBytes } = this.#job.keys.manifest;
    const [from, end] = [index * chunkBytes - region.offset, (index + 1) * chunkBytes - region.offset];
    if (end > region.bytes) return false;
    for (let page = from / PAGE_BYTES; page < end / PAGE_BYTES; page += 1) {
      if (!hasPage(bits, page)) return false;
    }
    return true;
  }

  #read(index: number, region: Region | undefined): Uint8Array {
    const { chunkBytes } = this.#job.keys.manifest;
    const at = index * chunkBytes;
    const chunk = this.#chunk.subarray(0, Math.min(chunkBytes, this.#job.bytes - at));
    const from = region === undefined ? 0 : at - region.offset;
    const length = region === undefined ? 0 : Math.min(chunk.length, region.bytes - from);
    const inPlace = region !== undefined && length === chunk.length ? viewPlace(region.place, from, length) : undefined;
    if (inPlace !== undefined) return inPlace;
    if (region !== undefined && readPlace(region.place, chunk.subarray(0, length), from) < length) {
      throw new SealError('limit', 'it has become shorter while it was read: what was written is no object');
    }
    chunk.fill(0, length);
    return chunk;
  }

  #runsOf(index: number, chunk: Uint8Array, region: Region | undefined): readonly Run[] {
    const kept = region?.kept === undefined ? undefined : new Uint8Array(region.kept);
    if (kept === undefined && this.#zeros.subarray(0, chunk.length).equals(chunk)) {
      return [{ kind: 'zeros', at: 0, length: chunk.length }];
    }
    const offset = region?.offset ?? 0;
    const firstPage = (index * this.#job.keys.manifest.chunkBytes - offset) / PAGE_BYTES;
    const isKept = kept && ((page: number): boolean => hasPage(kept, page));
    return runsOf(chunk, firstPage, isKept);
  }

  #stored(chunk: Uint8Array, runs: readonly Run[]): Pick<Due, 'type' | 'plaintext'> {
    const isWhole = chunk.length === this.#job.keys.manifest.chunkBytes;
    const type = recordTypeOf(runs, { isWhole, compresses: this.#compresses });
    return { type, plaintext: type === 'pages' ? packPages(chunk, runs) : chunk };
  }

  #compressed(record: Due): Due {
    if (!this.#compresses || record.type !== 'data') return record;
    const smaller = compressChunk(record.plaintext);
    return smaller === undefined ? record : { ...record, type: 'compressed', plaintext: smaller };
  }

  #write({ record, leaf }: SealedRecord, { number, at }: RecordPlace, onWritten?: () => void): void {
    this.#relay.publish(number, leaf);
    this.#owed.add(record, at, onWritten);
    this.#owed.offer();
  }
}

function bytesOf({ plaintext }: Due): number {
  return RECORD_HEADER_BYTES + plaintext.length + TAG_BYTES + DIGEST_BYTES;
}
