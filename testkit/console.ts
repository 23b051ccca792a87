// A guest's serial console for tests: wait for a text, type a line. Guest bytes are untrusted; what is kept is bounded.
import { request, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** What is kept of a chatty guest, the newest part. */
const KEPT_CHARACTERS = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 120_000;
const LOOK_MS = 50;
/** As control/warden/vmm-socket.ts has it. */
const OPEN_ELSEWHERE = 'open elsewhere';

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

  /** Waits for one that was left a moment ago, and whose end has not been heard of everywhere. */
  static async open(apiSocket: string, machine: string): Promise<GuestConsole> {
    for (const deadline = performance.now() + DEFAULT_TIMEOUT_MS; ; await sleep(LOOK_MS)) {
      const opened = await ask(apiSocket, machine);
      if (!('why' in opened)) return new GuestConsole(opened.stream, opened.head);
      if (!opened.why.includes(OPEN_ELSEWHERE) || performance.now() > deadline) {
        throw new Error(`console of ${machine}: ${opened.why}`);
      }
    }
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

/** The stream, or why there is none. */
async function ask(
  apiSocket: string,
  machine: string,
): Promise<{ readonly stream: Duplex; readonly head: Buffer } | { readonly why: string }> {
  const call = request({
    socketPath: apiSocket,
    path: `/v1/machines/${machine}/console`,
    headers: { connection: 'Upgrade', upgrade: 'ringwall-console' },
  });
  const answer = new Promise<{ response: IncomingMessage; upgraded?: { stream: Duplex; head: Buffer } }>(
    (done, fail) => {
      call.on('upgrade', (response, stream, head) => done({ response, upgraded: { stream, head } }));
      call.on('response', (response) => done({ response }));
      call.on('error', fail);
    },
  );
  call.end();
  const { response, upgraded } = await answer;
  return upgraded ?? { why: `${String(response.statusCode)} ${await textOf(response)}` };
}
