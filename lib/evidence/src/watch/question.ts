// What the broker asks of a running machine, and the text whose SHA-256 binds the answer to the question. The protocol is
// docs/protocols/watching.md.
import { toHex, utf8 } from '@ringwall/bytes';
import { digest } from '@ringwall/tpm';
import { checkChallenge, NONCE_BYTES } from '../challenge.ts';
import { EvidenceError } from '../errors.ts';
import type { WatchRecord } from './record.ts';

/** One question; only `askWatch` makes one that is answered. */
export interface WatchQuestion {
  /** 32 random bytes, used once. */
  readonly nonce: Uint8Array;
  readonly machine: string;
  /** 32 lower-case hexadecimal digits. */
  readonly boot: string;
  /** From which byte of the measurement list on the guest is to send it. */
  readonly from: number;
}

const open = new WeakSet<WatchQuestion>();

/** A fresh question that goes on where the record stands. */
export function askWatch({ baseline, proven, pending }: WatchRecord): WatchQuestion {
  const question: WatchQuestion = Object.freeze({
    nonce: crypto.getRandomValues(new Uint8Array(NONCE_BYTES)),
    machine: baseline.machine,
    boot: baseline.boot,
    from: (pending ?? proven).ima.bytes,
  });
  open.add(question);
  return question;
}

/** True the first time for a question that `askWatch` made in this process: a nonce is burnt before it is judged. */
export function burnQuestion(question: WatchQuestion): boolean {
  return open.delete(question);
}

/** The line that is sent to the guest, without its line feed. */
export function observeLine({ nonce, machine, boot, from }: WatchQuestion): string {
  return `observe ${toHex(nonce)} ${machine} ${boot} ${from}`;
}

/** The text behind the qualifying data of the quote. */
export function observeText(question: WatchQuestion): string {
  checkChallenge(question);
  if (!Number.isSafeInteger(question.from) || question.from < 0) {
    throw new EvidenceError('challenge-invalid', `from is ${question.from}, expected a number of bytes`);
  }
  const { nonce, machine, boot, from } = question;
  return `${['ringwall-watch 1', toHex(nonce), machine, boot, `${from}`].join('\n')}\n`;
}

/** The `extraData` that the quote must carry: nonce, machine, boot and place in the list, in one digest. */
export async function observeQualifyingData(question: WatchQuestion): Promise<Uint8Array> {
  return digest('sha256', utf8(observeText(question)));
}
