// Bytes that must not be seen: they print as `[secret]` wherever they are printed, and are overwritten on dispose.
// JavaScript may have copied them before (a garbage collector moves nothing in a Buffer's backing store, but WebCrypto
// and strings do copy), so disposing shortens the time that a secret lies in memory and does not end it for sure.
import { inspect } from 'node:util';

export class Secret implements Disposable {
  #bytes: Uint8Array<ArrayBuffer> | undefined;

  private constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  static random(bytes: number): Secret {
    // Never a Buffer: those may share a pool, where disposing would leave a copy.
    return new Secret(crypto.getRandomValues(new Uint8Array(bytes)));
  }

  /** Takes the bytes over: the caller's array is wiped. */
  static take(bytes: Uint8Array): Secret {
    const own = new Uint8Array(bytes);
    bytes.fill(0);
    return new Secret(own);
  }

  get length(): number {
    return this.expose().length;
  }

  /** The bytes themselves, valid until dispose. Whoever calls this is where to look in a review. */
  expose(): Uint8Array<ArrayBuffer> {
    if (this.#bytes === undefined) throw new TypeError('this secret was disposed of');
    return this.#bytes;
  }

  /** A new secret: this xor `other`, of the same length. */
  xor(other: Secret): Secret {
    const left = this.expose();
    const right = other.expose();
    if (left.length !== right.length) throw new TypeError('secrets of different lengths');
    return new Secret(left.map((byte, index) => byte ^ (right[index] ?? 0)));
  }

  /** From here on whoever holds this secret holds a copy of `other`; what it was is overwritten. */
  become(other: Secret): void {
    const bytes = new Uint8Array(other.expose());
    this.#bytes?.fill(0);
    this.#bytes = bytes;
  }

  [Symbol.dispose](): void {
    this.#bytes?.fill(0);
    this.#bytes = undefined;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
