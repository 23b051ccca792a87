// Bytes to lines, in bounded memory and linear time: a peer that never sends a line feed costs one limit and then its
// connection, and one that sends a byte at a time costs no more than one that does not.

const LINE_FEED = 0x0a;

/** More than the usual request. An idle connection holds nothing: a broker has one for each machine that runs. */
const FIRST_BUFFER_BYTES = 4096;
const NOTHING = new Uint8Array(0);

export type LineErrorCode = 'line-too-long';

export class LineError extends Error {
  override readonly name = 'LineError';
  readonly code: LineErrorCode;
  constructor(code: LineErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export class LineSplitter {
  readonly #limitBytes: number;
  #buffer: Uint8Array<ArrayBuffer> = NOTHING;
  #start = 0;
  #end = 0;
  /** Up to here there is no line feed: no byte is searched twice. */
  #searched = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** True while a line has been begun and not ended, once `next` has answered undefined. */
  get midLine(): boolean {
    return this.#end > this.#start;
  }

  /** Adds bytes of the peer; take the lines with `next` before the next push, so that one limit bounds what is held. */
  push(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#buffer.length) this.#makeRoom(chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole line without its line feed, or undefined. Throws LineError as soon as the limit is passed. */
  next(): Uint8Array<ArrayBuffer> | undefined {
    const at = this.#buffer.subarray(0, this.#end).indexOf(LINE_FEED, this.#searched);
    const lineEnd = at === -1 ? this.#end : at;
    if (lineEnd - this.#start > this.#limitBytes) {
      throw new LineError('line-too-long', `a line of more than ${String(this.#limitBytes)} bytes`);
    }
    this.#searched = lineEnd;
    if (at === -1) return undefined;
    const line = this.#buffer.slice(this.#start, at);
    this.#start = at + 1;
    this.#searched = this.#start;
    if (this.#start === this.#end) this.#reset();
    return line;
  }

  /** Everything that has arrived and was not taken as a line: the first bytes of an upgraded stream. */
  takeRest(): Uint8Array<ArrayBuffer> {
    const rest = this.#buffer.slice(this.#start, this.#end);
    this.#reset();
    return rest;
  }

  #reset(): void {
    this.#buffer = NOTHING;
    this.#start = 0;
    this.#end = 0;
    this.#searched = 0;
  }

  #makeRoom(bytes: number): void {
    const held = this.#end - this.#start;
    const needed = held + bytes;
    const grown = Math.max(FIRST_BUFFER_BYTES, needed * 2);
    const target = needed > this.#buffer.length ? new Uint8Array(grown) : this.#buffer;
    target.set(this.#buffer.subarray(this.#start, this.#end), 0);
    this.#buffer = target;
    this.#searched -= this.#start;
    this.#start = 0;
    this.#end = held;
  }
}
