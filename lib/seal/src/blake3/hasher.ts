// BLAKE3 of bytes that are there at once (hash mode, 32 bytes): chunks four at a time where the engine can, then their tree.
// BLAKE3 is chosen because it is the one digest that is as fast as the cipher beside it without instructions of its own for that.
import { compress } from './compress.ts';
import { BLOCK_BYTES, CHUNK_BYTES, CHUNK_END, CHUNK_START, DIGEST_BYTES, IV, PARENT, ROOT } from './constants.ts';
import { fourLanes, LANES, type FourLanes } from './four-lanes.ts';

/** Copied into the module's memory at a time where it does not lie there: what stays in a core's own cache. */
const STAGE_BYTES: number = 64 * 1024;

/** Keeps its buffers; one for each thread. */
export class Blake3 {
  readonly #lanes: FourLanes | undefined;
  /** Bytes at the caller's disposal, in which a digest is made without a copy. */
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly #most: number;
  readonly #stageAt: number;
  readonly #chainsAt: number;
  /** All of the memory. */
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array<ArrayBuffer> = new Uint32Array(16);
  readonly #wordBytes: Uint8Array<ArrayBuffer> = new Uint8Array(this.#words.buffer);
  readonly #chain: Uint32Array<ArrayBuffer> = new Uint32Array(8);

  /** `most`: bytes that it will take; `own`: how many of them the caller wants in `memory`. */
  constructor(most: number, own = 0) {
    this.#most = most;
    this.#stageAt = Math.ceil(own / BLOCK_BYTES) * BLOCK_BYTES;
    this.#chainsAt = this.#stageAt + STAGE_BYTES;
    const size = this.#chainsAt + (Math.ceil(most / CHUNK_BYTES) + 1) * DIGEST_BYTES;
    // Assembling them takes longer than a thousand digests of what has no four chunks.
    this.#lanes = most < LANES * CHUNK_BYTES ? undefined : fourLanes(size);
    this.#bytes = this.#lanes?.memory ?? new Uint8Array(size);
    this.memory = this.#bytes.subarray(0, own);
  }

  /** Throws RangeError for more than it was made for. */
  digest(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    if (bytes.length > this.#most) throw new RangeError(`${bytes.length} bytes, at most ${this.#most}`);
    const chunks = Math.max(1, Math.ceil(bytes.length / CHUNK_BYTES));
    const isRoot = chunks === 1;
    const whole = isRoot ? 0 : Math.floor(bytes.length / CHUNK_BYTES / LANES) * LANES;
    if (whole > 0) this.#wholeChunks(bytes.subarray(0, whole * CHUNK_BYTES));
    for (let index = whole; index < chunks; index += 1) {
      this.#chunk(bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES), index, isRoot ? ROOT : 0);
    }
    for (let nodes = chunks; nodes > 1;) nodes = this.#parents(nodes);
    return this.#bytes.slice(this.#chainsAt, this.#chainsAt + DIGEST_BYTES);
  }

  #wholeChunks(bytes: Uint8Array): void {
    const isHere = bytes.buffer === this.#bytes.buffer;
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, isHere ? bytes.length : at + STAGE_BYTES);
      if (!isHere) this.#bytes.set(part, this.#stageAt);
      this.#many(isHere ? bytes.byteOffset : this.#stageAt, part.length / CHUNK_BYTES, at / CHUNK_BYTES);
      at += part.length;
    }
  }

  /** Chunks from `at` on, of which the first is number `counter`. */
  #many(at: number, chunks: number, counter: number): void {
    if (this.#lanes !== undefined) {
      const to = this.#chainsAt + counter * DIGEST_BYTES;
      const flags = [0, CHUNK_START, CHUNK_END] as const;
      this.#lanes.compress({
        at,
        blocks: CHUNK_BYTES / BLOCK_BYTES,
        groups: chunks / LANES,
        counter,
        step: 1,
        flags,
        to,
      });
      return;
    }
    for (let index = 0; index < chunks; index += 1) {
      const from = at + index * CHUNK_BYTES;
      this.#chunk(this.#bytes.subarray(from, from + CHUNK_BYTES), counter + index, 0);
    }
  }

  #chunk(bytes: Uint8Array, counter: number, root: number): void {
    this.#chain.set(IV);
    const blocks = Math.max(1, Math.ceil(bytes.length / BLOCK_BYTES));
    for (let index = 0; index < blocks; index += 1) {
      const block = bytes.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
      const isLast = index === blocks - 1;
      const flags = (index === 0 ? CHUNK_START : 0) | (isLast ? CHUNK_END | root : 0);
      this.#compress(block, counter, flags);
    }
    this.#keep(counter);
  }

  /** A level of the tree into the next, in place; gives the number of its nodes. */
  #parents(nodes: number): number {
    const pairs = nodes >> 1;
    const groups = pairs > LANES ? Math.floor(pairs / LANES) : 0;
    let done = 0;
    if (this.#lanes !== undefined && groups > 0) {
      const flags = [PARENT, 0, 0] as const;
      this.#lanes.compress({ at: this.#chainsAt, blocks: 1, groups, counter: 0, step: 0, flags, to: this.#chainsAt });
      done = groups * LANES;
    }
    for (; done < pairs; done += 1) {
      const at = this.#chainsAt + done * BLOCK_BYTES;
      this.#chain.set(IV);
      this.#compress(this.#bytes.subarray(at, at + BLOCK_BYTES), 0, nodes === 2 ? PARENT | ROOT : PARENT);
      this.#keep(done);
    }
    if (nodes % 2 === 0) return pairs;
    const last = this.#chainsAt + (nodes - 1) * DIGEST_BYTES;
    this.#bytes.copyWithin(this.#chainsAt + pairs * DIGEST_BYTES, last, last + DIGEST_BYTES);
    return pairs + 1;
  }

  #compress(block: Uint8Array, counter: number, flags: number): void {
    this.#wordBytes.fill(0);
    this.#wordBytes.set(block);
    compress(this.#chain, { words: this.#words, bytes: block.length, counter, flags });
  }

  #keep(node: number): void {
    this.#bytes.set(new Uint8Array(this.#chain.buffer), this.#chainsAt + node * DIGEST_BYTES);
  }
}
