// Deflate undone: RFC 1951, and the zlib wrapper of RFC 1950. Inspectors answer at once, and browsers have no decompressor that
// does; what is unpacked here are manifests and small archives. Bounded by the caller.
import { ParseError } from '@ringwall/bytes';

const MAX_CODE_BITS = 15;
const END_OF_BLOCK = 256;
/** Section 3.2.5: lengths 3 to 258, and distances 1 to 32768. */
const LENGTH_BASES: readonly number[] = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const LENGTH_BITS: readonly number[] = [
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const DISTANCE_BASES: readonly number[] = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12_289, 16_385, 24_577,
];
const DISTANCE_BITS: readonly number[] = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
/** Section 3.2.7: the order in which the lengths of code lengths stand. */
const CODE_LENGTH_ORDER: readonly number[] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

interface Codes {
  /** How many codes there are of each length. */
  readonly counts: Uint16Array;
  /** In the order of their codes. */
  readonly symbols: Uint16Array;
}

/** Throws ParseError; `limit` where there is more than `maxBytes`. */
export function inflateRaw(input: Uint8Array, maxBytes: number): Uint8Array<ArrayBuffer> {
  return new Inflater(input, maxBytes).run();
}

/** With a header of two bytes; the checksum is left to whoever cares. */
export function inflateZlib(input: Uint8Array, maxBytes: number): Uint8Array<ArrayBuffer> {
  const [method = 0, flags = 0] = input;
  if ((method & 0x0f) !== 8 || (method * 256 + flags) % 31 !== 0 || (flags & 0x20) !== 0) {
    throw new ParseError('invalid', 'zlib header', 0, 'is not that of deflate');
  }
  return inflateRaw(input.subarray(2), maxBytes);
}

class Inflater {
  readonly #input: Uint8Array;
  readonly #maxBytes: number;
  #output: Uint8Array<ArrayBuffer>;
  #length = 0;
  #at = 0;
  #bits = 0;
  #bitCount = 0;

  constructor(input: Uint8Array, maxBytes: number) {
    this.#input = input;
    this.#maxBytes = maxBytes;
    this.#output = new Uint8Array(Math.min(maxBytes, Math.max(1024, input.length * 3)));
  }

  run(): Uint8Array<ArrayBuffer> {
    for (let last = false; !last;) {
      last = this.#take(1) === 1;
      const type = this.#take(2);
      if (type === 0) this.#stored();
      else if (type === 1) this.#compressed(FIXED_LITERALS, FIXED_DISTANCES);
      else if (type === 2) this.#compressed(...this.#dynamicCodes());
      else throw this.#error('has a block of type 3');
    }
    return this.#output.subarray(0, this.#length);
  }

  #stored(): void {
    this.#bits = 0;
    this.#bitCount = 0;
    const [one = -1, two = -1, three = -1, four = -1] = this.#input.subarray(this.#at, this.#at + 4);
    const length = one + two * 256;
    if (four < 0 || length !== (~(three + four * 256) & 0xffff)) throw this.#error('has a block of a wrong length');
    this.#at += 4;
    const part = this.#input.subarray(this.#at, this.#at + length);
    if (part.length < length) throw this.#error('ends within a block');
    this.#reserve(length);
    this.#output.set(part, this.#length);
    this.#length += length;
    this.#at += length;
  }

  #compressed(literals: Codes, distances: Codes): void {
    for (;;) {
      const symbol = this.#symbol(literals);
      if (symbol === END_OF_BLOCK) return;
      if (symbol < END_OF_BLOCK) {
        this.#reserve(1);
        this.#output[this.#length] = symbol;
        this.#length += 1;
      } else this.#copy(symbol - END_OF_BLOCK - 1, distances);
    }
  }

  #copy(lengthSymbol: number, distances: Codes): void {
    const lengthBase = LENGTH_BASES[lengthSymbol];
    if (lengthBase === undefined) throw this.#error('has a length that there is not');
    const length = lengthBase + this.#take(LENGTH_BITS[lengthSymbol] ?? 0);
    const distanceSymbol = this.#symbol(distances);
    const distanceBase = DISTANCE_BASES[distanceSymbol];
    if (distanceBase === undefined) throw this.#error('has a distance that there is not');
    const distance = distanceBase + this.#take(DISTANCE_BITS[distanceSymbol] ?? 0);
    if (distance > this.#length) throw this.#error('copies from before its beginning');
    this.#reserve(length);
    // Source and target may overlap: that is how runs are written.
    for (let each = 0; each < length; each += 1) {
      this.#output[this.#length] = this.#output[this.#length - distance] ?? 0;
      this.#length += 1;
    }
  }

  /** Section 3.2.7. */
  #dynamicCodes(): readonly [Codes, Codes] {
    const literalCount = this.#take(5) + 257;
    const distanceCount = this.#take(5) + 1;
    const lengthCount = this.#take(4) + 4;
    const codeLengths = new Uint8Array(CODE_LENGTH_ORDER.length);
    for (const symbol of CODE_LENGTH_ORDER.slice(0, lengthCount)) codeLengths[symbol] = this.#take(3);
    const codes = codesOf(codeLengths);
    const lengths = new Uint8Array(literalCount + distanceCount);
    for (let at = 0; at < lengths.length;) {
      const symbol = this.#symbol(codes);
      if (symbol < 16) {
        lengths[at] = symbol;
        at += 1;
        continue;
      }
      if (symbol === 16 && at === 0) throw this.#error('repeats a length before the first');
      const value = symbol === 16 ? (lengths[at - 1] ?? 0) : 0;
      const times = symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if (at + times > lengths.length) throw this.#error('has more lengths than codes');
      lengths.fill(value, at, at + times);
      at += times;
    }
    return [codesOf(lengths.subarray(0, literalCount)), codesOf(lengths.subarray(literalCount))];
  }

  /** Codes of one length follow each other, and are longer than all of fewer bits. */
  #symbol({ counts, symbols }: Codes): number {
    let [code, first, index] = [0, 0, 0];
    for (let length = 1; length <= MAX_CODE_BITS; length += 1) {
      code |= this.#take(1);
      const count = counts[length] ?? 0;
      if (code - first < count) return symbols[index + code - first] ?? 0;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw this.#error('has a code that there is not');
  }

  #take(count: number): number {
    while (this.#bitCount < count) {
      const byte = this.#input[this.#at];
      if (byte === undefined) throw this.#error('ends within a block');
      this.#at += 1;
      this.#bits |= byte << this.#bitCount;
      this.#bitCount += 8;
    }
    const value = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#bitCount -= count;
    return value;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed > this.#maxBytes)
      throw new ParseError('limit', 'data', this.#at, `unpacks to more than ${this.#maxBytes} bytes`);
    if (needed <= this.#output.length) return;
    const length = Math.min(this.#maxBytes, Math.max(needed, this.#output.length * 2));
    // The smaller one is given back at once, not when garbage is next collected.
    this.#output = new Uint8Array(this.#output.buffer.transfer(length));
  }

  #error(why: string): ParseError {
    return new ParseError('invalid', 'deflated data', this.#at, why);
  }
}

function codesOf(lengths: Uint8Array): Codes {
  const counts = new Uint16Array(MAX_CODE_BITS + 1);
  for (const length of lengths) if (length > 0) counts[length] = (counts[length] ?? 0) + 1;
  const offsets = new Uint16Array(MAX_CODE_BITS + 2);
  for (let length = 1; length <= MAX_CODE_BITS; length += 1) {
    offsets[length + 1] = (offsets[length] ?? 0) + (counts[length] ?? 0);
  }
  const symbols = new Uint16Array(lengths.length);
  for (const [symbol, length] of lengths.entries()) {
    if (length === 0) continue;
    symbols[offsets[length] ?? 0] = symbol;
    offsets[length] = (offsets[length] ?? 0) + 1;
  }
  return { counts, symbols };
}

/** Section 3.2.6. */
const FIXED_LITERALS: Codes = codesOf(
  Uint8Array.from({ length: 288 }, (_, symbol) => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8)),
);
const FIXED_DISTANCES: Codes = codesOf(new Uint8Array(30).fill(5));
