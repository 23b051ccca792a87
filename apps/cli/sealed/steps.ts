// How far sealing, opening or scrubbing is.
import type { ByteStream } from '@ringwall/seal';
import type { Progress } from '../progress.ts';
import { formatBytes } from '../quantities.ts';
import { PIPE } from './ends.ts';

/** Of lines that are no terminal's: one is printed so often at most. */
const TOLD_MS = 1000;

export class Steps {
  readonly #progress: Progress;
  readonly #doing: string;
  readonly #total: number | undefined;
  #toldAt = -Infinity;

  /** `total`: bytes, where they are known. */
  constructor(progress: Progress, doing: string, file: string, total?: number) {
    this.#progress = progress;
    this.#doing = `${doing} ${file === PIPE ? 'standard input' : file.replaceAll(': ', ':')}`;
    this.#total = total;
    this.#progress.step(this.#doing);
  }

  readonly tell = (done: number): void => {
    const now = performance.now();
    if (now - this.#toldAt < TOLD_MS) return;
    this.#toldAt = now;
    const total = this.#total;
    if (total === undefined) this.#progress.step(`${this.#doing}: ${formatBytes(done)}`);
    else this.#progress.step(`${this.#doing}: ${formatBytes(Math.min(done, total))}`, total === 0 ? 1 : done / total);
  };

  /** The same stream, told as it is read. */
  async *counted(stream: ByteStream): AsyncGenerator<Uint8Array, void> {
    let done = 0;
    for await (const piece of stream) {
      done += piece.length;
      this.tell(done);
      yield piece;
    }
  }
}
