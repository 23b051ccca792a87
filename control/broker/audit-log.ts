// The broker's audit log: one JSON object a line of who asked what and what came of it, in files of bounded size. Ids,
// outcomes and reasons only: nothing of a request's content or of a key gets here.
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { inspect } from 'node:util';

/** About 5,000 entries a file. */
export const AUDIT_FILE_LIMIT_BYTES: number = 1024 * 1024;
/** `audit.log`, `audit.log.1` … */
const FILES = 4;
const TEXT_CHARACTERS = 1000;
const TEXTS = 16;

export interface AuditEntry {
  /** E.g. 'open-session', 'release', 'refuse'. */
  readonly what: string;
  readonly disk?: string;
  readonly snapshot?: string;
  readonly machine?: string;
  readonly boot?: string;
  /** The machine that is given a copy of its disk. */
  readonly clone?: string;
  /** A person has asked for an older state of the machine by name. */
  readonly rewind?: boolean;
  /** Whom a snapshot left for, and whether its machine went with it. */
  readonly recipient?: string;
  readonly mode?: string;
  /** What two people are asked for, and who has signed it, by their key. */
  readonly approval?: string;
  readonly person?: string;
  /** 'ok' or a code. */
  readonly outcome: string;
  readonly reasons?: readonly string[];
}

export class AuditLog implements Disposable {
  readonly #path: string;
  readonly #limitBytes: number;
  readonly #now: () => Date;
  /** Undefined once closed: the number may belong to another file by then. */
  #fd: number | undefined;
  #bytes: number;

  constructor(path: string, options: { limitBytes?: number; now?: () => Date } = {}) {
    this.#path = path;
    this.#limitBytes = options.limitBytes ?? AUDIT_FILE_LIMIT_BYTES;
    this.#now = options.now ?? ((): Date => new Date());
    this.#fd = openSync(path, 'a', 0o600);
    this.#bytes = fstatSync(this.#fd).size;
  }

  /** Never throws: a full disk must not keep a machine from its key. What must be kept is in the store. */
  write(entry: AuditEntry): void {
    const { reasons, ...rest } = entry;
    const texts = reasons?.slice(0, TEXTS).map((reason) => reason.slice(0, TEXT_CHARACTERS));
    const line = `${JSON.stringify({ at: this.#now().toISOString(), ...rest, ...(texts === undefined ? {} : { reasons: texts }) })}\n`;
    const bytes = Buffer.from(line);
    try {
      if (this.#bytes + bytes.length > this.#limitBytes) this.#rotate();
      if (this.#fd === undefined) return;
      writeSync(this.#fd, bytes);
      this.#bytes += bytes.length;
    } catch {
      // Nothing is left to tell it to.
    }
  }

  defect(error: unknown, where: string): void {
    // A Secret prints as [secret] here too.
    this.write({ what: where, outcome: 'internal', reasons: [inspect(error, { depth: 2 })] });
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #rotate(): void {
    if (this.#fd === undefined) return;
    rmSync(`${this.#path}.${String(FILES - 1)}`, { force: true });
    for (let number = FILES - 2; number >= 0; number -= 1) {
      const from = number === 0 ? this.#path : `${this.#path}.${String(number)}`;
      try {
        renameSync(from, `${this.#path}.${String(number + 1)}`);
      } catch {
        // Not that many yet.
      }
    }
    const fd = openSync(this.#path, 'a', 0o600);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#bytes = 0;
  }
}
