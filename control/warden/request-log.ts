// The warden's own record of what it was asked: one line a request, in a file of bounded size. It holds operations, ids,
// outcomes and durations; nothing else of a request or an answer, so that no secret can get into it.
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { RingwallError } from '@ringwall/api';

/** Two files of this size at most: about 20,000 requests each. */
export const REQUEST_LOG_LIMIT_BYTES: number = 2 * 1024 * 1024;
/** An error's message quotes names and numbers; more of it than this helps nobody. */
const MESSAGE_CHARACTERS = 1000;

export interface RequestLine {
  readonly op: string;
  /** A machine id or an image name that matched its pattern. */
  readonly subject?: string | undefined;
  readonly milliseconds: number;
  /** Absent: it succeeded. */
  readonly error?: unknown;
}

export class RequestLog {
  readonly #path: string;
  readonly #limitBytes: number;
  #fd: number;
  #bytes: number;

  constructor(path: string, limitBytes = REQUEST_LOG_LIMIT_BYTES) {
    this.#path = path;
    this.#limitBytes = limitBytes;
    this.#fd = openSync(path, 'a', 0o600);
    this.#bytes = fstatSync(this.#fd).size;
  }

  request({ op, subject, milliseconds, error }: RequestLine): void {
    const outcome = error === undefined ? 'ok' : describe(error);
    this.note(`${op} ${subject ?? '-'} ${Math.round(milliseconds)} ms ${outcome}`);
  }

  /** Never throws: a full disk must not keep the warden from stopping a machine. */
  note(text: string): void {
    const line = Buffer.from(`${new Date().toISOString()} ${oneLine(text)}\n`);
    try {
      if (this.#bytes + line.length > this.#limitBytes) this.#rotate();
      writeSync(this.#fd, line);
      this.#bytes += line.length;
    } catch {
      // Nothing is left to tell it to.
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #rotate(): void {
    renameSync(this.#path, `${this.#path}.1`);
    const fd = openSync(this.#path, 'a', 0o600);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#bytes = 0;
  }
}

function describe(error: unknown): string {
  if (error instanceof RingwallError) return `${error.code}: ${error.message}`;
  return `defect: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is to be taken out
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').slice(0, MESSAGE_CHARACTERS);
}

/** An error as a note in the log tells it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
