// The broker's side of the watching protocol, version 1, as a state machine that is fed with bytes and touches nothing
// (docs/protocols/watching.md). Every byte comes from the guest, or from whoever relays: what is no answer to the question
// that stands open is passed over, an answer has limits, and silence is nobody's fault: it is seen by its age.
import {
  EvidenceError,
  MAX_ANSWER_MS,
  observeLine,
  WATCH_LIMITS,
  WatchAnswerReader,
  type WatchAnswer,
  type WatchQuestion,
} from '@ringwall/evidence';
import { LineError, LineSplitter } from '../rpc/index.ts';

export const WATCH_SESSION_LIMITS = {
  /** Bytes of the guest for one question: its answer, and what was left of the one before. */
  bytesPerQuestion: 2 * WATCH_LIMITS.lines * (WATCH_LIMITS.lineCharacters + 1),
  /** Questions without a pause for a list that goes on: 2 MiB of it, and then no faster than any other guest's. */
  questionsInARow: 16,
  /** A guest that says `watch 1` so long after a question has not heard it; before, the two have met on the way. */
  unheardMs: 2_000,
} as const;

/** The guest sent more than an answer can have. The message is fit for the audit log. */
export class WatchSessionError extends Error {
  override readonly name = 'WatchSessionError';
}

/** What the session's owner has to do next. */
export type WatchStep =
  | { readonly kind: 'send'; readonly text: string }
  /** Judge, then call `judged`. */
  | {
      readonly kind: 'judge';
      readonly question: WatchQuestion;
      readonly answer: WatchAnswer;
      readonly waitedMs: number;
    }
  /** A question has come to nothing; the sentence says why. */
  | { readonly kind: 'nothing'; readonly reason: string };

export interface WatchSessionOptions {
  /** From an answer to the next question. */
  readonly intervalMs: () => number;
  /** A fresh question, where the record of the boot stands. */
  readonly ask: () => WatchQuestion;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

type State =
  /** Nobody has said that he is there; nothing is asked of nobody. */
  | { readonly name: 'absent' }
  | { readonly name: 'idle'; readonly until: number }
  | { readonly name: 'asked'; readonly question: WatchQuestion; readonly since: number }
  | {
      readonly name: 'answering';
      readonly question: WatchQuestion;
      readonly since: number;
      readonly reader: WatchAnswerReader;
    }
  | { readonly name: 'judging' };

export class WatchSession {
  readonly #options: WatchSessionOptions;
  readonly #lines = new LineSplitter(WATCH_LIMITS.lineCharacters);
  #state: State = { name: 'absent' };
  #bytesSinceQuestion = 0;
  #inARow = 0;

  constructor(options: WatchSessionOptions) {
    this.#options = options;
  }

  get state(): State['name'] {
    return this.#state.name;
  }

  /** Adds bytes of the guest; take the steps with `next` before the next push. Throws WatchSessionError. */
  push(chunk: Uint8Array): void {
    this.#bytesSinceQuestion += chunk.length;
    if (this.#bytesSinceQuestion > WATCH_SESSION_LIMITS.bytesPerQuestion) {
      throw new WatchSessionError(`more than ${String(WATCH_SESSION_LIMITS.bytesPerQuestion)} bytes for one question`);
    }
    this.#lines.push(chunk);
  }

  /** The next thing to do, or undefined until more bytes come. Throws WatchSessionError. */
  next(): WatchStep | undefined {
    for (;;) {
      if (this.#state.name === 'judging') throw new TypeError('next() while an answer is being judged');
      const line = this.#nextLine();
      if (line === undefined) return undefined;
      const step = this.#takeLine(line);
      if (step !== undefined) return step;
    }
  }

  /** The answer was judged. `at-once` is for a list that goes on, and for a second word on what cannot be true. */
  judged(next: 'at-once' | 'interval'): WatchStep | undefined {
    this.#inARow = next === 'at-once' ? this.#inARow + 1 : 0;
    if (next === 'at-once' && this.#inARow < WATCH_SESSION_LIMITS.questionsInARow) return this.#ask();
    this.#inARow = 0;
    this.#rest();
    return undefined;
  }

  /** Milliseconds until `tick` is to be called; undefined where only the guest can go on. */
  get remainingMs(): number | undefined {
    const state = this.#state;
    if (state.name === 'absent' || state.name === 'judging') return undefined;
    const dueMs = state.name === 'idle' ? state.until : state.since + MAX_ANSWER_MS;
    return Math.max(0, dueMs - this.#options.now());
  }

  /** To be called when `remainingMs` is over: asks, or gives up what it has asked. */
  tick(): WatchStep | undefined {
    if (this.remainingMs !== 0) return undefined;
    if (this.#state.name === 'idle') return this.#ask();
    // A guest that is there says so again: until then questions would only pile up before it.
    this.#state = { name: 'absent' };
    return { kind: 'nothing', reason: `the guest gave no whole answer within ${String(MAX_ANSWER_MS / 1000)} s` };
  }

  #nextLine(): string | undefined {
    try {
      const line = this.#lines.next();
      return line === undefined ? undefined : String.fromCharCode(...line);
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      throw new WatchSessionError(error.message, { cause: error });
    }
  }

  #takeLine(line: string): WatchStep | undefined {
    const state = this.#state;
    switch (state.name) {
      case 'absent':
        return line === WATCH_LINE ? this.#ask() : undefined;
      case 'asked':
        return this.#takeFirst(line, state);
      case 'answering':
        return this.#takeAnswer(line, state);
      case 'idle':
      case 'judging':
      default:
        return undefined;
    }
  }

  #takeFirst(line: string, { question, since }: State & { readonly name: 'asked' }): WatchStep | undefined {
    if (line === WATCH_LINE) {
      return this.#options.now() - since > WATCH_SESSION_LIMITS.unheardMs ? this.#ask() : undefined;
    }
    if (!line.startsWith('observed ')) return undefined;
    const answering = { name: 'answering', question, since, reader: new WatchAnswerReader(question) } as const;
    this.#state = answering;
    return this.#takeAnswer(line, answering);
  }

  #takeAnswer(line: string, state: State & { readonly name: 'answering' }): WatchStep | undefined {
    const { question, since, reader } = state;
    let answer: WatchAnswer | undefined;
    try {
      answer = reader.push(line);
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      this.#rest();
      return { kind: 'nothing', reason: error.message };
    }
    if (answer === undefined) return undefined;
    this.#state = { name: 'judging' };
    return { kind: 'judge', question, answer, waitedMs: this.#options.now() - since };
  }

  #ask(): WatchStep {
    const question = this.#options.ask();
    this.#bytesSinceQuestion = 0;
    this.#state = { name: 'asked', question, since: this.#options.now() };
    return { kind: 'send', text: `${observeLine(question)}\n` };
  }

  /** What comes meanwhile is passed over: also the answer to a question that was given up, so that the next one fits. */
  #rest(): void {
    this.#state = { name: 'idle', until: this.#options.now() + this.#options.intervalMs() };
  }
}

const WATCH_LINE = 'watch 1';
