// The broker's side of the attestation protocol, version 1, as a state machine that is fed with bytes and touches
// nothing (docs/protocols/attestation.md). Every byte comes from the guest, or from whoever relays: the grammar is
// strict, every size, count and time has a limit, and the first thing that is off ends the session.
import { fromHex, ParseError, toHex } from '@ringwall/bytes';
import { NONCE_BYTES, type Challenge, type VtpmEvidence } from '@ringwall/evidence';
import { LineError, LineSplitter } from '../rpc/index.ts';
import type { UnlockedHow } from './release.ts';

/** What one guest may cost. All of it holds for one connection. */
export const SESSION_LIMITS = {
  /** A line: the longest honest one is 1,024 bytes of event log in hexadecimal. */
  lineBytes: 4096,
  /** All lines together: evidence of a real boot has 20 KiB, so that a guest may begin anew a few times. */
  totalBytes: 256 * 1024,
  /** Lines: a hello each two seconds for a minute, and evidence. */
  lines: 512,
  /** The bytes of event log in one line. */
  eventLogLineBytes: 1024,
  /** A judgement costs a few signature checks. */
  judgements: 8,
  /** From the challenge to the last line of the evidence. */
  nonceLifetimeMs: 60_000,
  /** Until the first hello: firmware and kernel have to come up first, under emulation too. */
  helloTimeoutMs: 600_000,
  /** From the release until the guest says what came of it: it may have to make or to check a file system. */
  unlockTimeoutMs: 600_000,
  /** Of the sentence in `failed`. */
  sentenceCharacters: 1024,
} as const;

export type SessionErrorCode =
  | 'line-too-long'
  | 'too-many-bytes'
  | 'too-many-lines'
  | 'too-many-judgements'
  | 'not-text'
  | 'unexpected-line'
  | 'malformed-line'
  | 'unknown-version'
  | 'nonce-expired'
  | 'too-late';

/** The guest broke the protocol. The message is fit to be sent to it. */
export class SessionError extends Error {
  override readonly name = 'SessionError';
  readonly code: SessionErrorCode;
  constructor(code: SessionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What the session's owner has to do next. */
export type SessionStep =
  | { readonly kind: 'send'; readonly text: string }
  /** Judge, then call `released` or `end`. The nonce is burnt already, whatever comes of it. */
  | { readonly kind: 'judge'; readonly challenge: Challenge; readonly evidence: VtpmEvidence }
  /** `activation`: the digest that only the TPM of the EK certificate can make. */
  | { readonly kind: 'unlocked'; readonly how: UnlockedHow; readonly activation: Uint8Array }
  | { readonly kind: 'failed'; readonly sentence: string }
  /** The guest of an unlocked boot is there to be watched: what comes now is no attestation any more. */
  | { readonly kind: 'watch' };

export interface SessionOptions {
  readonly machine: string;
  readonly boot: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly makeNonce?: () => Uint8Array;
  /** This boot was given its key before, and is watched. It need not say hello again. */
  readonly watched?: boolean;
}

const HELLO = 'hello 1';

/**
 * What may come before the first hello: the rest of lines that were meant for a session which was cut off, the last of
 * them perhaps torn and run into a hello. The guest notices that nobody answers, and says hello again.
 */
const LEFTOVER = /^[0-9a-z-]*(?: [0-9a-f]*){0,2}(?:hello 1|watch 1)?$/;

/** In this order, each once; event-log follows and repeats. */
const FIELDS = ['ek-certificate', 'ak-public', 'boot-public', 'certify', 'quote'] as const;
type Field = (typeof FIELDS)[number];

type State =
  | { readonly name: 'waiting'; readonly since: number }
  | { readonly name: 'challenged'; readonly nonce: Uint8Array; readonly since: number }
  | { readonly name: 'evidence'; readonly nonce: Uint8Array; readonly since: number; readonly parts: EvidenceParts }
  | { readonly name: 'judging' }
  | { readonly name: 'released'; readonly since: number }
  | { readonly name: 'over' };

export class GuestSession {
  readonly #options: SessionOptions;
  readonly #lines = new LineSplitter(SESSION_LIMITS.lineBytes);
  #state: State;
  #totalBytes = 0;
  #lineCount = 0;
  #judgements = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#state = { name: 'waiting', since: options.now() };
  }

  get state(): State['name'] {
    return this.#state.name;
  }

  /** Adds bytes of the guest; take the steps with `next` before the next push. */
  push(chunk: Uint8Array): void {
    this.#totalBytes += chunk.length;
    // Looked at before anything is kept: what is held is bounded, however large the chunk.
    if (this.#totalBytes > SESSION_LIMITS.totalBytes) {
      throw this.#violation('too-many-bytes', `more than ${String(SESSION_LIMITS.totalBytes)} bytes in one session`);
    }
    if (this.#state.name !== 'over') this.#lines.push(chunk);
  }

  /** The next thing to do, or undefined until more bytes come. Throws SessionError and is over then. */
  next(): SessionStep | undefined {
    while (this.#state.name !== 'over') {
      if (this.#state.name === 'judging') throw new TypeError('next() while the evidence is being judged');
      const line = this.#nextLine();
      if (line === undefined) return undefined;
      const step = this.#takeLine(line);
      if (step !== undefined) return step;
    }
    return undefined;
  }

  /** The evidence was accepted and the release was sent. */
  released(): void {
    if (this.#state.name === 'judging') this.#state = { name: 'released', since: this.#options.now() };
  }

  /** What was read and is no line of this session any more; for whoever goes on with the stream. */
  takeRest(): Uint8Array {
    return this.#lines.takeRest();
  }

  /** Nothing more is taken from this guest. */
  end(): void {
    this.#state = { name: 'over' };
  }

  /** Milliseconds until the guest is too late with what is awaited of it; undefined where nothing is. */
  get remainingMs(): number | undefined {
    const state = this.#state;
    if (state.name === 'judging' || state.name === 'over') return undefined;
    if (state.name === 'waiting' && this.#options.watched === true) return undefined;
    const limitMs = {
      waiting: SESSION_LIMITS.helloTimeoutMs,
      challenged: SESSION_LIMITS.nonceLifetimeMs,
      evidence: SESSION_LIMITS.nonceLifetimeMs,
      released: SESSION_LIMITS.unlockTimeoutMs,
    }[state.name];
    return Math.max(0, state.since + limitMs - this.#options.now());
  }

  /** To be called when `remainingMs` is over. */
  tooLate(): SessionError {
    const awaited = {
      waiting: 'hello',
      challenged: 'the evidence',
      evidence: 'the end of the evidence',
      released: 'word of what came of the release',
      judging: 'nothing',
      over: 'nothing',
    }[this.#state.name];
    return this.#violation('too-late', `the guest was too late with ${awaited}`);
  }

  #nextLine(): string | undefined {
    let line: Uint8Array | undefined;
    try {
      line = this.#lines.next();
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      throw this.#violation('line-too-long', error.message);
    }
    if (line === undefined) return undefined;
    this.#lineCount += 1;
    if (this.#lineCount > SESSION_LIMITS.lines) {
      throw this.#violation('too-many-lines', `more than ${String(SESSION_LIMITS.lines)} lines in one session`);
    }
    if (!line.every((byte) => byte >= 0x20 && byte <= 0x7e)) {
      throw this.#violation('not-text', 'a line with bytes that are not printable ASCII');
    }
    return String.fromCharCode(...line);
  }

  #takeLine(line: string): SessionStep | undefined {
    if (line === 'hello' || line.startsWith('hello ')) return this.#takeHello(line);
    if (line.startsWith('failed ')) return this.#takeFailed(line.slice('failed '.length));
    const state = this.#state;
    // A guest gives up on sending evidence that is not taken from it, in the middle of a line, and begins anew.
    const beginsAnew = state.name === 'challenged' || state.name === 'evidence';
    if (beginsAnew && line.endsWith(HELLO) && LEFTOVER.test(line)) return this.#takeHello(HELLO);
    switch (state.name) {
      case 'challenged':
        if (line !== 'evidence') throw this.#unexpected('evidence');
        this.#state = { ...state, name: 'evidence', parts: new EvidenceParts() };
        return undefined;
      case 'evidence':
        return this.#takeEvidence(line, state);
      case 'released':
        return this.#takeUnlocked(line);
      case 'waiting':
        // Also the word of what came of a release by a broker that was restarted since.
        if (line.startsWith('unlocked ')) return this.#takeUnlocked(line);
        if (line === 'watch 1' && this.#options.watched === true) return this.#takeWatch();
        if (LEFTOVER.test(line)) return undefined;
        throw this.#unexpected('hello');
      case 'judging':
      case 'over':
      default:
        throw this.#unexpected('hello');
    }
  }

  #takeHello(line: string): SessionStep {
    if (line !== HELLO) throw this.#violation('unknown-version', 'the broker speaks version 1 of the protocol');
    const state = this.#state;
    // A guest that was not heard says hello again, and both may arrive together. Until it has begun to answer, it gets
    // the same challenge again: a new one would make the answer that is on its way a stale one. Half of the lifetime
    // remains for that answer. In every other state the old nonce is burnt here.
    const fresh = state.name === 'challenged' && this.#age(state.since) < SESSION_LIMITS.nonceLifetimeMs / 2;
    const nonce = fresh ? state.nonce : this.#makeNonce();
    if (!fresh) this.#state = { name: 'challenged', nonce, since: this.#options.now() };
    return { kind: 'send', text: `challenge ${toHex(nonce)} ${this.#options.machine} ${this.#options.boot}\n` };
  }

  #takeEvidence(line: string, state: State & { readonly name: 'evidence' }): SessionStep | undefined {
    if (line !== 'end') {
      try {
        state.parts.take(line);
      } catch (error) {
        if (error instanceof SessionError) this.end();
        throw error;
      }
      return undefined;
    }
    const { nonce } = state;
    const evidence = state.parts.finish();
    if (evidence === undefined) throw this.#unexpected(state.parts.awaited);
    if (this.#age(state.since) > SESSION_LIMITS.nonceLifetimeMs) {
      const seconds = String(SESSION_LIMITS.nonceLifetimeMs / 1000);
      throw this.#violation('nonce-expired', `the evidence came later than ${seconds} s after its challenge`);
    }
    this.#judgements += 1;
    if (this.#judgements > SESSION_LIMITS.judgements) {
      throw this.#violation('too-many-judgements', `more than ${String(SESSION_LIMITS.judgements)} times evidence`);
    }
    // From here on the nonce is gone: whatever the judgement says, and whatever comes after it, needs another.
    this.#state = { name: 'judging' };
    return { kind: 'judge', challenge: { nonce, machine: this.#options.machine, boot: this.#options.boot }, evidence };
  }

  #takeUnlocked(line: string): SessionStep {
    const [word, how, activation, ...rest] = line.split(' ');
    if (word !== 'unlocked') throw this.#unexpected('unlocked');
    if ((how !== 'opened' && how !== 'formatted' && how !== 'rotated') || activation === undefined || rest.length > 0) {
      throw this.#violation('malformed-line', 'expected unlocked, what was done, and the activation digest');
    }
    if (!/^[0-9a-f]{64}$/.test(activation)) {
      throw this.#violation('malformed-line', 'an activation digest that is not 64 hexadecimal digits');
    }
    this.end();
    return { kind: 'unlocked', how, activation: fromHex(activation) };
  }

  #takeWatch(): SessionStep {
    this.end();
    return { kind: 'watch' };
  }

  #takeFailed(sentence: string): SessionStep {
    if (sentence.length > SESSION_LIMITS.sentenceCharacters) {
      throw this.#violation('malformed-line', 'a sentence that is too long');
    }
    this.end();
    return { kind: 'failed', sentence };
  }

  #age(since: number): number {
    return this.#options.now() - since;
  }

  #makeNonce(): Uint8Array {
    const nonce = this.#options.makeNonce?.() ?? crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    if (nonce.length !== NONCE_BYTES) throw new TypeError('a nonce of the wrong length');
    return nonce;
  }

  #unexpected(awaited: string): SessionError {
    return this.#violation('unexpected-line', `a line that does not belong here: ${awaited} was awaited`);
  }

  #violation(code: SessionErrorCode, message: string): SessionError {
    this.end();
    return new SessionError(code, message);
  }
}

/** The evidence while its lines come in. */
class EvidenceParts {
  readonly #fields = new Map<Field, readonly Uint8Array[]>();
  readonly #eventLog: Uint8Array[] = [];

  get awaited(): string {
    return FIELDS.find((field) => !this.#fields.has(field)) ?? 'event-log';
  }

  take(line: string): void {
    const [word, ...values] = line.split(' ');
    if (word !== this.awaited) {
      throw new SessionError('unexpected-line', `a line that does not belong here: ${this.awaited} was awaited`);
    }
    const expected = word === 'certify' || word === 'quote' ? 2 : 1;
    if (values.length !== expected) {
      throw new SessionError('malformed-line', `${word} takes ${String(expected)} values after one space each`);
    }
    const bytes = values.map((value) => hexField(value, word));
    const field = FIELDS.find((name) => name === word);
    if (field !== undefined) {
      this.#fields.set(field, bytes);
      return;
    }
    for (const part of bytes) {
      if (part.length > SESSION_LIMITS.eventLogLineBytes) {
        const limit = String(SESSION_LIMITS.eventLogLineBytes);
        throw new SessionError('malformed-line', `more than ${limit} bytes of event log in one line`);
      }
      this.#eventLog.push(part);
    }
  }

  /** Undefined while something is missing. */
  finish(): VtpmEvidence | undefined {
    const [ekCertificate] = this.#fields.get('ek-certificate') ?? [];
    const [akPublic] = this.#fields.get('ak-public') ?? [];
    const [bootPublic] = this.#fields.get('boot-public') ?? [];
    const [certify, certifySignature] = this.#fields.get('certify') ?? [];
    const [quote, quoteSignature] = this.#fields.get('quote') ?? [];
    if (ekCertificate === undefined || akPublic === undefined || bootPublic === undefined) return undefined;
    if (certify === undefined || certifySignature === undefined) return undefined;
    if (quote === undefined || quoteSignature === undefined || this.#eventLog.length === 0) return undefined;
    const eventLog = new Uint8Array(Buffer.concat(this.#eventLog));
    return {
      kind: 'vtpm',
      ekCertificate,
      akPublic,
      bootPublic,
      certify,
      certifySignature,
      quote,
      quoteSignature,
      eventLog,
    };
  }
}

function hexField(text: string, field: string): Uint8Array {
  try {
    const bytes = fromHex(text, field);
    if (bytes.length > 0) return bytes;
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
  }
  throw new SessionError('malformed-line', `${field} is not lower-case hexadecimal of whole bytes`);
}

/** Sentences for the guest's console: printable ASCII, one line, so that nothing of them can be taken for protocol. */
export function asciiSentence(text: string): string {
  const ascii = text
    .replaceAll('…', '...')
    .replaceAll(/[“”]/g, '"')
    .replaceAll('’', "'")
    .replaceAll(/[^\u0020-\u007e]/g, '?');
  return ascii.length > SENT_SENTENCE_CHARACTERS ? `${ascii.slice(0, SENT_SENTENCE_CHARACTERS)}...` : ascii;
}

/** A guest takes lines of 4,096 bytes; a sentence of more than this is read by nobody. */
const SENT_SENTENCE_CHARACTERS = 1000;

/** A guest takes 64 lines of sentences. */
const SENT_SENTENCES = 60;

export function refusalText(reasons: readonly string[]): string {
  return `refused\n${sentenceLines('reason', reasons)}end\n`;
}

export function sentenceLines(word: 'reason' | 'proven', sentences: readonly string[]): string {
  const shown = sentences.slice(0, SENT_SENTENCES);
  if (sentences.length > shown.length) shown.push(`and ${String(sentences.length - shown.length)} more`);
  return shown.map((sentence) => `${word} ${asciiSentence(sentence)}\n`).join('');
}
