// One lane of opening: finds the next record while no other looks, then reads, decrypts and writes it while others do theirs. Nothing of a record is
// written before its tag was right.
import { SealError } from '@ringwall/seal';
import {
  altered,
  DIGEST_BYTES,
  parseHeader,
  RECORD_HEADER_BYTES,
  unpackPages,
  type RecordHeader,
} from '@ringwall/seal/engine';
import { concatBytes, equalBytes } from '@ringwall/bytes';
import { unpackChunk } from './compression.ts';
import type { Lane, OpenJob } from './jobs.ts';
import { writePlace } from './place.ts';
import { RecordMemory } from './record-memory.ts';
import { release } from './release.ts';
import { Relay } from './relay.ts';
import { readAt } from './whole-io.ts';

/** Written at a time where zeros are. */
const ZEROS: Uint8Array = new Uint8Array(64 * 1024);

interface Found {
  readonly header: RecordHeader;
  readonly headerBytes: Uint8Array;
  readonly offset: number;
  readonly index: number;
  readonly number: number;
}

export class OpeningLane implements Lane {
  readonly #job: OpenJob;
  readonly #relay: Relay;
  readonly #record: RecordMemory;
  readonly #chunkBytes: number;

  constructor(job: OpenJob) {
    this.#job = job;
    this.#relay = new Relay(job.relay);
    this.#record = new RecordMemory(job.keys, job.keys.manifest.chunkBytes);
    this.#chunkBytes = job.keys.manifest.chunkBytes;
  }

  step(): boolean {
    const found = this.#relay.exclusively(() => this.#find());
    if (found === undefined) return false;
    this.#relay.publish(found.number, this.#open(found));
    this.#relay.addDone(found.header.chunks);
    return true;
  }

  /** Undefined at the end, which is for whoever waits for all lanes. */
  #find(): Found | undefined {
    if (this.#relay.get('endAt') > 0) return undefined;
    const [offset, index] = [this.#relay.get('at'), this.#relay.get('chunk')];
    const headerBytes = new Uint8Array(RECORD_HEADER_BYTES);
    this.#read(headerBytes, offset, `next record`);
    const header = parseHeader(headerBytes, this.#job.keys.manifest, { offset, index });
    if (header.type === 'end') {
      this.#relay.set('endAt', offset);
      return undefined;
    }
    const { number } = this.#relay.place(RECORD_HEADER_BYTES + header.bytes + DIGEST_BYTES);
    this.#relay.set('chunk', index + header.chunks);
    const isEmpty = header.type === 'zeros' || header.type === 'kept';
    this.#relay.set('emptyKind', isEmpty ? 1 : 0);
    return { header, headerBytes, offset, index, number };
  }

  /** Gives the digest that is stored for it. */
  #open(found: Found): Uint8Array {
    const { header, headerBytes, offset, index } = found;
    const room = this.#record.room(header.bytes);
    this.#read(room, offset + RECORD_HEADER_BYTES, `record of chunk ${String(index)}`);
    const digest = room.slice(header.bytes);
    const stored = { offset, index, header, headerBytes, ciphertext: room, digest };
    const opened = this.#record.open(headerBytes, index, header.bytes);
    if (opened === undefined) throw altered(stored, 'is not what was sealed there');
    if (this.#job.checksDigests && !equalBytes(this.#record.leafOf(headerBytes, header.bytes), digest)) {
      throw altered(stored, 'is not what its digest says');
    }
    const at = index * this.#chunkBytes;
    switch (header.type) {
      case 'zeros':
        this.#zeros(at, header.chunks * this.#chunkBytes);
        break;
      case 'pages': {
        const plaintext = concatBytes(...opened);
        if (!this.#pages(at, plaintext)) throw altered(stored, 'has no map of its pages');
        release(plaintext);
        break;
      }
      case 'data':
      case 'compressed': {
        const pieces = header.type === 'data' ? opened : unpacked(opened, this.#chunkBytes);
        const bytes = lengthOf(pieces);
        if (bytes === 0 || bytes > this.#chunkBytes) throw altered(stored, 'unpacks to no chunk');
        if (bytes < this.#chunkBytes && !this.#relay.claimShort(index, bytes)) {
          throw altered(stored, 'follows a chunk that was the last');
        }
        this.#data(at, pieces);
        if (header.type === 'compressed') pieces.forEach(release);
        break;
      }
      case 'kept':
      case 'end':
        break;
    }
    opened.forEach(release);
    return digest;
  }

  /** False where the record has no map that there can be. */
  #pages(at: number, plaintext: Uint8Array): boolean {
    const runs = unpackPages(plaintext, this.#chunkBytes);
    if (runs === undefined) return false;
    for (const run of runs) {
      if (run.kind === 'kept' && this.#job.keys.manifest.parent === null) return false;
      if (run.kind === 'data') this.#data(at + run.at, [run.bytes]);
      else if (run.kind === 'zeros') this.#zeros(at + run.at, run.length);
    }
    return true;
  }

  #data(from: number, pieces: readonly Uint8Array[]): void {
    const length = lengthOf(pieces);
    for (const { place, offset, bytes } of this.#job.regions) {
      const [begin, end] = [Math.max(from, offset), Math.min(from + length, offset + bytes)];
      if (begin < end) writePlace(place, cut(pieces, begin - from, end - from), begin - offset);
    }
  }

  #zeros(from: number, length: number): void {
    if (!this.#job.writesZeros) return;
    for (let done = 0; done < length; done += ZEROS.length) {
      this.#data(from + done, [ZEROS.subarray(0, Math.min(ZEROS.length, length - done))]);
    }
  }

  #read(target: Uint8Array, at: number, what: string): void {
    const count = readAt(this.#job.object, target, at);
    if (count === target.length) return;
    throw new SealError(
      'truncated',
      `its ${what} needs ${String(target.length)} bytes, and it has ${String(count)} more`,
      {
        offset: at,
      },
    );
  }
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** What of them lies between two places, counted from the first's beginning. */
function cut(pieces: readonly Uint8Array[], from: number, to: number): readonly Uint8Array[] {
  let at = 0;
  return pieces.flatMap((piece) => {
    const [begin, end] = [Math.max(from - at, 0), Math.min(to - at, piece.length)];
    at += piece.length;
    if (begin >= end) return [];
    return begin === 0 && end === piece.length ? [piece] : [piece.subarray(begin, end)];
  });
}

function unpacked(pieces: readonly Uint8Array[], most: number): readonly Uint8Array[] {
  const packed = concatBytes(...pieces);
  const chunk = unpackChunk(packed, most);
  release(packed);
  return chunk === undefined ? [] : [chunk];
}
