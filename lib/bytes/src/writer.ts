// Writes wire structures into a buffer that grows. A value that does not fit its field is a defect of the caller.

const INITIAL_BYTES = 64;

/** Appends fields in order; `finish` gives the bytes. A number outside its field's range throws `RangeError`. */
export class Writer {
  #buffer = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const at = this.#reserve(1, value, 0xff);
    this.#view.setUint8(at, value);
    return this;
  }

  u16be(value: number): this {
    const at = this.#reserve(2, value, 0xffff);
    this.#view.setUint16(at, value, false);
    return this;
  }

  u32be(value: number): this {
    const at = this.#reserve(4, value, 0xffff_ffff);
    this.#view.setUint32(at, value, false);
    return this;
  }

  u64be(value: bigint): this {
    const at = this.#reserve64(value);
    this.#view.setBigUint64(at, value, false);
    return this;
  }

  u16le(value: number): this {
    const at = this.#reserve(2, value, 0xffff);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32le(value: number): this {
    const at = this.#reserve(4, value, 0xffff_ffff);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u64le(value: bigint): this {
    const at = this.#reserve64(value);
    this.#view.setBigUint64(at, value, true);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  /** What `body` writes, behind its length as 16 bits big endian (a TPM2B, among others). */
  sized16be(body: (writer: Writer) => void): this {
    const inner = new Writer();
    body(inner);
    const bytes = inner.finish();
    return this.u16be(bytes.length).bytes(bytes);
  }

  /** What `body` writes, behind its length as 32 bits little endian. */
  sized32le(body: (writer: Writer) => void): this {
    const inner = new Writer();
    body(inner);
    const bytes = inner.finish();
    return this.u32le(bytes.length).bytes(bytes);
  }

  /** A copy of all that was written so far. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(0, this.#length);
  }

  #reserve(bytes: number, value: number, maximum: number): number {
    if (!Number.isInteger(value) || value < 0 || value > maximum) {
      throw new RangeError(`${value} does not fit ${bytes} bytes`);
    }
    return this.#grow(bytes);
  }

  #reserve64(value: bigint): number {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) {
      throw new RangeError(`${value} does not fit 8 bytes`);
    }
    return this.#grow(8);
  }

  #grow(bytes: number): number {
    const at = this.#length;
    const needed = at + bytes;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = needed;
    return at;
  }
}
