// One lane of sealing: reads a chunk, finds its place in turn, then encrypts, digests and writes it while others do theirs.
import { zstdCompressSync } from 'node:zlib';
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
import type { Lane, Region, SealJob } from './jobs.ts';
import { RecordMemory } from './record-memory.ts';
import { Relay } from './relay.ts';
import { readAt, writeAt } from './whole-io.ts';

const EMPTY_KINDS = ['none', 'zeros', 'kept'] as const;
const NOTHING: Uint8Array = new Uint8Array();

interface Placed {
  readonly type: Exclude<RecordType, 'end'>;
  readonly chunks: number;
  readonly index: number;
  readonly plaintext: Uint8Array;
  readonly number: number;
  readonly at: number;
}

export class SealingLane implements Lane {
  readonly #job: SealJob;
  readonly #relay: Relay;
  readonly #record: RecordMemory;
  readonly #chunk: Uint8Array;
  readonly #zeros: Buffer;
  readonly #chunks: number;

  constructor(job: SealJob) {
    const { chunkBytes } = job.keys.manifest;
    this.#job = job;
    this.#relay = new Relay(job.relay);
    this.#record = new RecordMemory(job.keys);
    this.#chunk = new Uint8Array(chunkBytes);
    this.#zeros = Buffer.alloc(chunkBytes);
    this.#chunks = Math.ceil(job.bytes / chunkBytes);
  }

  step(): boolean {
    const index = this.#relay.take();
    if (index >= this.#chunks) return false;
    const region = this.#regionOf(index);
    const chunk = this.#read(index, region);
    const runs = this.#runsOf(index, chunk, region);
    const kind = emptinessOf(runs);
    const stored = kind === undefined ? this.#stored(chunk, runs) : undefined;
    const isLast = index === this.#chunks - 1;
    const placed = this.#relay.inTurn(index, () => this.#place(index, { kind, stored, isLast }));
    for (const each of placed) this.#write(each);
    this.#relay.addDone(1);
    return true;
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
    if (region !== undefined && readAt(region.descriptor, chunk.subarray(0, length), from) < length) {
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

  #stored(chunk: Uint8Array, runs: readonly Run[]): Pick<Placed, 'type' | 'plaintext'> {
    const { compression, chunkBytes } = this.#job.keys.manifest;
    const compresses = compression === 'zstd';
    const type = recordTypeOf(runs, { isWhole: chunk.length === chunkBytes, compresses });
    if (type === 'pages') return { type, plaintext: packPages(chunk, runs) };
    const smaller = compresses ? zstdCompressSync(chunk) : chunk;
    return smaller.length < chunk.length ? { type: 'compressed', plaintext: smaller } : { type, plaintext: chunk };
  }

  /** In turn: which records are due, and where they go. Of chunks that store nothing, only the last knows how many they are. */
  #place(
    index: number,
    {
      kind,
      stored,
      isLast,
    }: {
      readonly kind: 'zeros' | 'kept' | undefined;
      readonly stored: Pick<Placed, 'type' | 'plaintext'> | undefined;
      readonly isLast: boolean;
    },
  ): readonly Placed[] {
    const placed: Placed[] = [];
    const pending = EMPTY_KINDS[this.#relay.get('emptyKind')];
    let chunks = this.#relay.get('emptyChunks');
    if ((pending === 'zeros' || pending === 'kept') && pending !== kind) {
      placed.push(this.#placed({ type: pending, chunks, index: index - chunks, plaintext: NOTHING }));
      chunks = 0;
    }
    if (stored !== undefined) placed.push(this.#placed({ ...stored, chunks: 1, index }));
    if (kind !== undefined) {
      chunks += 1;
      if (isLast) placed.push(this.#placed({ type: kind, chunks, index: index + 1 - chunks, plaintext: NOTHING }));
    }
    this.#relay.set('emptyKind', EMPTY_KINDS.indexOf(kind ?? 'none'));
    this.#relay.set('emptyChunks', chunks);
    return placed;
  }

  #placed(record: Omit<Placed, 'number' | 'at'>): Placed {
    const bytes = RECORD_HEADER_BYTES + record.plaintext.length + TAG_BYTES + DIGEST_BYTES;
    return { ...record, ...this.#relay.place(bytes) };
  }

  #write({ type, number, at, ...rest }: Placed): void {
    const { record, leaf } = this.#record.seal(type, rest);
    writeAt(this.#job.object, record, at);
    this.#relay.publish(number, leaf);
  }
}
