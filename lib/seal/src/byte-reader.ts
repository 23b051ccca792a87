// Exact numbers of bytes from a stream whose pieces are of any size.
import { SealError } from './seal-error.ts';

export type ByteStream = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();
  #offset = 0;

  constructor(stream: ByteStream) {
    this.#pieces = Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]();
  }

  /** Of the next byte. */
  get offset(): number {
    return this.#offset;
  }

  /** A copy; shorter only where the stream is over. */
  async upTo(bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const taken = new Uint8Array(bytes);
    let filled = 0;
    while (filled < bytes && (await this.#fill())) {
      const part = this.#piece.subarray(0, bytes - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#piece = this.#piece.subarray(part.length);
    }
    this.#offset += filled;
    return filled === bytes ? taken : taken.subarray(0, filled);
  }

  /** Throws SealError `truncated`, naming `what` was cut. */
  async exactly(bytes: number, what: string): Promise<Uint8Array<ArrayBuffer>> {
    const { offset } = this;
    const taken = await this.upTo(bytes);
    if (taken.length < bytes) {
      throw new SealError('truncated', `its ${what} needs ${bytes} bytes, and it has ${taken.length} more`, { offset });
    }
    return taken;
  }

  /** Whether a byte is left. */
  async hasMore(): Promise<boolean> {
    return this.#fill();
  }

  /** Lets the stream close what it has open. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async #fill(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done === true) return false;
      this.#piece = value;
    }
    return true;
  }
}
