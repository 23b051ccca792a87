// A guest's serial console for tests: wait for a text, type a line. Guest bytes are untrusted; what is kept is bounded.
import { request } from 'node:http';
import type { Duplex } from 'node:stream';

/** What is kept of a chatty guest, the newest part. */
const KEPT_CHARACTERS = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 120_000;

export class GuestConsole implements Disposable {
  readonly #stream: Duplex;
  #text = '';
  #hasEnded = false;
  #wake: () => void = () => {};

  private constructor(stream: Duplex, head: Buffer) {
    this.#stream = stream;
    this.#take(head.toString('latin1'));
    stream.on('data', (bytes: Buffer) => this.#take(bytes.toString('latin1')));
    stream.on('error', () => {});
    stream.on('close', () => {
      this.#hasEnded = true;
      this.#wake();
    });
  }

  static open(apiSocket: string, machine: string): Promise<GuestConsole> {
    return new Promise((done, fail) => {
      const call = request({
        socketPath: apiSocket,
        path: `/v1/machines/${machine}/console`,
        headers: { connection: 'Upgrade', upgrade: 'ringwall-console' },
      });
      call.on('upgrade', (_response, stream, head) => done(new GuestConsole(stream, head)));
      call.on('response', (response) => fail(new Error(`console of ${machine}: ${response.statusCode}`)));
      call.on('error', fail);
      call.end();
    });
  }

  /** Everything seen so far and not yet consumed by `waitFor`. */
  get text(): string {
    return this.#text;
  }

  /** Waits for `pattern` and returns the match; what stands before and in it is consumed. */
  async waitFor(pattern: RegExp, timeoutMs: number = DEFAULT_TIMEOUT_MS): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.#text);
      if (match !== null) {
        this.#text = this.#text.slice(match.index + match[0].length);
        return match;
      }
      const leftMs = deadline - Date.now();
      if (leftMs <= 0 || this.#hasEnded) {
        const how = this.#hasEnded ? 'before it was closed' : `in ${timeoutMs} ms`;
        throw new Error(`console: no ${String(pattern)} ${how}; last seen:\n${this.#text.slice(-2000)}`);
      }
      await new Promise<void>((done) => {
        const timer = setTimeout(done, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          done();
        };
      });
    }
  }

  type(line: string): void {
    this.#stream.write(`${line}\n`);
  }

  /** Runs a shell command in the guest and returns what it printed. */
  async run(command: string, timeoutMs?: number): Promise<string> {
    const mark = Math.random().toString(36).slice(2);
    // Each mark is typed in two pieces, so that the echo of the typed line, which a terminal may wrap, holds neither.
    this.type(`echo "begin-""${mark}"; ${command}; echo "end-""${mark}:$?"`);
    const match = await this.waitFor(new RegExp(`begin-${mark}\\r?\\n([\\s\\S]*?)end-${mark}:(\\d+)`), timeoutMs);
    const printed = (match[1] ?? '').replaceAll('\r', '');
    if (match[2] !== '0') throw new Error(`guest: ${command}: exit ${match[2]}\n${printed}`);
    return printed;
  }

  [Symbol.dispose](): void {
    this.#stream.destroy();
  }

  #take(text: string): void {
    this.#text = (this.#text + text).slice(-KEPT_CHARACTERS);
    this.#wake();
  }
}
