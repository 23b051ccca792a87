// The guest's answer to one question, read line by line as it comes off the port. The guest writes it, and whoever relays
// it may have written it anew: here is only its form, `judgeWatch` says what it is worth.
import { concatBytes, fromHex } from '@ringwall/bytes';
import { EVIDENCE_LIMITS_BYTES } from '../evidence.ts';
import { EvidenceError } from '../errors.ts';
import type { WatchQuestion } from './question.ts';

export const WATCH_LIMITS: Readonly<Record<'logBytes' | 'logLineBytes' | 'lineCharacters' | 'lines', number>> = {
  /** Of the measurement list in one answer: a booted Debian has 40 KiB, a thousand entries more 110. */
  logBytes: 128 * 1024,
  /** In one line; as the event log is sent. */
  logLineBytes: 1024,
  /** Of one line of an answer, without its line feed. */
  lineCharacters: 4096,
  /** Of one answer: the whole list, and the five lines around it. */
  lines: 128 + 5,
};

export interface WatchAnswer {
  /** TPMS_ATTEST. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly quoteSignature: Uint8Array;
  /** The bytes of binary_runtime_measurements from where the question said. */
  readonly log: Uint8Array;
  /** The list goes on behind `log`. */
  readonly more: boolean;
  /** Before the quote, the guest had its TPM write its state down, the clock with it. Nobody has signed that. */
  readonly noted: boolean;
}

/** Takes the lines behind `observed`, that one included, until `end`. */
export class WatchAnswerReader {
  readonly #question: WatchQuestion;
  #lines = 0;
  #to: number | undefined;
  #quote: Pick<WatchAnswer, 'quote' | 'quoteSignature'> | undefined;
  readonly #log: Uint8Array[] = [];
  #logBytes = 0;
  #more = false;
  #noted = false;

  constructor(question: WatchQuestion) {
    this.#question = question;
  }

  /** The answer with the line `end`, undefined before. Throws EvidenceError `answer-invalid`; then it takes no more. */
  push(line: string): WatchAnswer | undefined {
    this.#lines += 1;
    demand(this.#lines <= WATCH_LIMITS.lines, `it has more than ${WATCH_LIMITS.lines} lines`);
    demand(line.length <= WATCH_LIMITS.lineCharacters, `a line has ${line.length} characters`);
    const [word = '', ...values] = line.split(' ');
    if (word === 'observed') return this.#takeObserved(values);
    if (word === 'quote') return this.#takeQuote(values);
    if (word === 'ima-log') return this.#takeLog(values);
    demand(values.length === 0 && /^(?:more|noted|end)$/.test(word), 'it has a line that is unknown');
    const late = this.#noted || (word === 'more' && this.#more);
    demand(this.#quote !== undefined && (word === 'end' || !late), `\`${word}\` is not at its place`);
    if (word === 'end') return this.#end();
    if (word === 'more') this.#more = true;
    else this.#noted = true;
    return undefined;
  }

  #takeObserved([to = '', ...rest]: readonly string[]): undefined {
    demand(this.#to === undefined && rest.length === 0 && /^(0|[1-9]\d{0,14})$/.test(to), '`observed` is malformed');
    this.#to = Number(to);
  }

  #takeQuote([quote = '', signature = '', ...rest]: readonly string[]): undefined {
    demand(this.#to !== undefined && this.#quote === undefined && rest.length === 0, '`quote` is not at its place');
    this.#quote = {
      quote: bytesOf(quote, EVIDENCE_LIMITS_BYTES.quote),
      quoteSignature: bytesOf(signature, EVIDENCE_LIMITS_BYTES.quoteSignature),
    };
  }

  #takeLog([hex = '', ...rest]: readonly string[]): undefined {
    demand(
      this.#quote !== undefined && !this.#more && !this.#noted && rest.length === 0,
      '`ima-log` is not at its place',
    );
    const bytes = bytesOf(hex, WATCH_LIMITS.logLineBytes);
    this.#logBytes += bytes.length;
    demand(this.#logBytes <= WATCH_LIMITS.logBytes, `it has more than ${WATCH_LIMITS.logBytes} bytes of the list`);
    this.#log.push(bytes);
  }

  #end(): WatchAnswer {
    const { from } = this.#question;
    if (this.#quote === undefined || this.#to === undefined) throw invalid('it ends before its quote');
    demand(this.#to === from + this.#logBytes, `it says ${this.#to}, and has ${this.#logBytes} bytes from ${from} on`);
    return { ...this.#quote, log: concatBytes(...this.#log), more: this.#more, noted: this.#noted };
  }
}

function bytesOf(hex: string, limitBytes: number): Uint8Array {
  demand(hex.length > 0 && hex.length <= 2 * limitBytes, `a field has ${hex.length} digits, at most ${2 * limitBytes}`);
  try {
    return fromHex(hex);
  } catch (cause) {
    throw new EvidenceError('answer-invalid', 'the answer is malformed: a field is not hexadecimal', { cause });
  }
}

function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw invalid(what);
}

function invalid(what: string): EvidenceError {
  return new EvidenceError('answer-invalid', `the answer is malformed: ${what}`);
}
