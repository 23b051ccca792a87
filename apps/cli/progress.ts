// Shows that long work goes on: on a terminal one line with a spinner, or a bar where the fraction is known, that
// becomes a tick with the time it took; elsewhere plain lines. Nothing is silent for longer than two seconds.
import { plainText, type Terminal } from './terminal.ts';

const FRAME_INTERVAL_MS = 100;
/** Below the two seconds that are promised, so that a busy machine keeps the promise too. */
const PLAIN_INTERVAL_MS = 1900;
const BAR_COLUMNS = 20;
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;
const PLAIN_FRAMES = ['|', '/', '-', '\\'] as const;

export interface ProgressOptions {
  readonly now?: () => number;
  /** Says nothing at all: for programs. */
  readonly silent?: boolean;
}

export class Progress implements Disposable {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #silent: boolean;
  #phase: string | undefined;
  #detail = '';
  #fraction: number | undefined;
  #startedAt = 0;
  #frame = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(terminal: Terminal, options: ProgressOptions = {}) {
    this.#terminal = terminal;
    this.#now = options.now ?? Date.now;
    this.#silent = options.silent ?? false;
  }

  /**
   * Says what is being done now. What stands before a first `: ` (outside of parentheses) names the phase, the rest is
   * its detail: a new phase ends the last one, a new detail only changes its line.
   */
  step(text: string, fraction?: number): void {
    const words = plainText(text).replaceAll('\n', ' ');
    const [, phase = words, detail = ''] = /^([^(]*?): (.*)$/.exec(words) ?? [];
    if (phase !== this.#phase) {
      this.done();
      this.#begin(phase, detail, fraction);
      return;
    }
    const news = detail !== this.#detail;
    this.#detail = detail;
    this.#fraction = fraction;
    if (!this.#terminal.live && news && detail !== '') this.#plainLine(`    ${detail}`);
  }

  /** The current step is done. */
  done(): void {
    this.#end('done');
  }

  /** The current step failed. What went wrong is said by whoever caught it. */
  fail(): void {
    this.#end('failed');
  }

  /** Takes the line away without a verdict, where there is one. */
  clear(): void {
    this.#end('cleared');
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #begin(phase: string, detail: string, fraction: number | undefined): void {
    this.#phase = phase;
    this.#detail = detail;
    this.#fraction = fraction;
    this.#startedAt = this.#now();
    if (this.#silent) return;
    if (this.#terminal.live) {
      this.#draw();
      this.#timer = setInterval(() => this.#draw(), FRAME_INTERVAL_MS);
      return;
    }
    this.#plainLine(`  ${phase}${detail === '' ? '' : `: ${detail}`}`);
    this.#timer = setInterval(
      () => this.#plainLine(`    ${this.#terminal.ellipsis} ${this.#seconds(0)}`),
      PLAIN_INTERVAL_MS,
    );
  }

  #end(outcome: 'done' | 'failed' | 'cleared'): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const phase = this.#phase;
    this.#phase = undefined;
    if (phase === undefined || this.#silent) return;
    const terminal = this.#terminal;
    if (!terminal.live) {
      if (outcome === 'failed') this.#plainLine(`    failed after ${this.#seconds(1)}`);
      return;
    }
    terminal.write('\r\u001b[2K');
    if (outcome === 'cleared') return;
    const sign = outcome === 'done' ? terminal.tick : terminal.cross;
    terminal.line(`  ${sign} ${phase} ${terminal.paint('dim', this.#seconds(1))}`);
  }

  #draw(): void {
    const terminal = this.#terminal;
    this.#frame += 1;
    const unicode = FRAMES[this.#frame % FRAMES.length] ?? '';
    const sign = terminal.paint('cyan', terminal.sign(unicode, PLAIN_FRAMES[this.#frame % PLAIN_FRAMES.length] ?? ''));
    const bar = this.#fraction === undefined ? '' : `${this.#bar(this.#fraction)} `;
    const tail = `${bar}${this.#seconds(0)}`;
    const room = terminal.columns - 6 - tail.length;
    const words = this.#detail === '' ? (this.#phase ?? '') : `${this.#phase ?? ''}: ${this.#detail}`;
    const text = words.length > room ? `${words.slice(0, Math.max(0, room - 1))}${terminal.sign('…', '~')}` : words;
    terminal.write(`\r\u001b[2K  ${sign} ${text} ${terminal.paint('dim', tail)}`);
  }

  #bar(fraction: number): string {
    const filled = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_COLUMNS);
    const full = this.#terminal.sign('█', '#');
    const empty = this.#terminal.sign('░', '.');
    return `${full.repeat(filled)}${empty.repeat(BAR_COLUMNS - filled)} ${String(Math.round(fraction * 100)).padStart(3)} %`;
  }

  #seconds(digits: number): string {
    return `${((this.#now() - this.#startedAt) / 1000).toFixed(digits)} s`;
  }

  #plainLine(text: string): void {
    if (!this.#silent) this.#terminal.line(text);
  }
}
