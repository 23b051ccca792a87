// One lane of sealing: reads chunks, while no other does, until there is one with something to store; then encrypts, digests and
// writes it while others do theirs. Of what is compressed, only then its size is known, and with it the place of the next.
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
import { compressChunk } from './compression.ts';
import type { Lane, Region, SealJob } from './jobs.ts';
import { readPlace } from './place.ts';
import { RecordMemory } from './record-memory.ts';
import { Relay } from './relay.ts';
import { writeAt } from './whole-io.ts';

const EMPTY_KINDS = ['none', 'zeros', 'kept'] as const;
const NOTHING: Uint8Array = new Uint8Array();

/** Chunks without data that are read before another lane may: reading so many takes some milliseconds. */
const MAX_CLAIMED = 64;

/** A record that is to be made. */
interface Due {
  readonly type: Exclude<RecordType, 'end'>;
  readonly chunks: number;
  readonly index: number;
  readonly plaintext: Uint8Array;
}

interface Placed extends Due {
  readonly number: number;
  readonly at: number;
}

interface Claim {
  readonly number: number;
  readonly due: readonly Due[];
  /** None yet where they are compressed. */
  readonly placed: readonly Placed[];
}

export class SealingLane implements Lane {
  readonly #job: SealJob;
  readonly #relay: Relay;
  readonly #record: RecordMemory;
  readonly #chunk: Uint8Array;
  readonly #zeros: Buffer;
  readonly #chunks: number;
  readonly #compresses: boolean;

  constructor(job: SealJob) {
    const { chunkBytes } = job.keys.manifest;
    this.#job = job;
    this.#relay = new Relay(job.relay);
    this.#record = new RecordMemory(job.keys);
    this.#chunk = new Uint8Array(chunkBytes);
    this.#zeros = Buffer.alloc(chunkBytes);
    this.#chunks = Math.ceil(job.bytes / chunkBytes);
    this.#compresses = job.keys.manifest.compression === 'zstd';
  }

  step(): boolean {
    const claim = this.#relay.exclusively(() => this.#claim());
    if (claim === undefined) return false;
    const { number, due } = claim;
    const compressed = due.map((record) => this.#compressed(record));
    const placed = this.#compresses
      ? this.#relay.inTurn(number, () => compressed.map((record) => this.#placed(record)))
      : claim.placed;
    for (const record of placed) this.#write(record);
    return true;
  }

  /** Alone: the next chunk to store, and before it what says where others are not. Undefined when all chunks were claimed. */
  #claim(): Claim | undefined {
    const first = this.#relay.get('chunk');
    if (first >= this.#chunks) return undefined;
    const due: Due[] = [];
    let index = first;
    for (let stored = false; !stored && index < Math.min(this.#chunks, first + MAX_CLAIMED); index += 1) {
      const region = this.#regionOf(index);
      const chunk = this.#read(index, region);
      const runs = this.#runsOf(index, chunk, region);
      const kind = emptinessOf(runs);
      due.push(...this.#emptyBefore(index, kind));
      stored = kind === undefined;
      if (stored) due.push({ ...this.#stored(chunk, runs), chunks: 1, index });
      if (index === this.#chunks - 1) due.push(...this.#emptyBefore(this.#chunks, undefined));
    }
    this.#relay.set('chunk', index);
    this.#relay.addDone(index - first);
    const number = this.#relay.get('claims');
    this.#relay.set('claims', number + 1);
    return { number, due, placed: this.#compresses ? [] : due.map((record) => this.#placed(record)) };
  }

  /** Counts a chunk of this kind; gives the record of those before it, where they were of another. */
  #emptyBefore(index: number, kind: 'zeros' | 'kept' | undefined): readonly Due[] {
    const before = EMPTY_KINDS[this.#relay.get('emptyKind')];
    const chunks = this.#relay.get('emptyChunks');
    const isSame = before === kind;
    this.#relay.set('emptyKind', EMPTY_KINDS.indexOf(kind ?? 'none'));
    this.#relay.set('emptyChunks', kind === undefined ? 0 : (isSame ? chunks : 0) + 1);
    if (isSame || (before !== 'zeros' && before !== 'kept')) return [];
    return [{ type: before, chunks, index: index - chunks, plaintext: NOTHING }];
  }

  #regionOf(index: number): Region | undefined {
    const at = index * this.#job.keys.manifest.chunkBytes;
    return this.#job.regions.find(({ offset, bytes }) => offset <= at && at < offset + bytes);
  }

  #read(index: number, region: Region | undefined): Uint8Array {
    const { chunkBytes } = this.#job.keys.manifest;
    const at = index * chunkBytes;
    const chunk = this.#chunk.subarray(0, Math.min(chunkBytes, this.#job.bytes - at));
    const from = region === undefined ? 0 : at - region.offset;
    const length = region === undefined ? 0 : Math.min(chunk.length, region.bytes - from);
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
    const isKept = kept && ((page: number): boolean => (((kept[page >> 3] ?? 0) >> (page & 7)) & 1) === 1);
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
    return smaller.length < record.plaintext.length ? { ...record, type: 'compressed', plaintext: smaller } : record;
  }

  #placed(record: Due): Placed {
    const bytes = RECORD_HEADER_BYTES + record.plaintext.length + TAG_BYTES + DIGEST_BYTES;
    return { ...record, ...this.#relay.place(bytes) };
  }

  #write({ type, number, at, ...rest }: Placed): void {
    const { record, leaf } = this.#record.seal(type, rest);
    writeAt(this.#job.object, record, at);
    this.#relay.publish(number, leaf);
  }
}
