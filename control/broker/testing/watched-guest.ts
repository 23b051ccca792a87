// The watcher of a guest for tests: it answers the broker's questions of what has run, or lies about it.
import { concatBytes, fromHex, toHex } from '@ringwall/bytes';
import { observeQualifyingData, type WatchQuestion } from '@ringwall/evidence';
import { encodeIma, imaNg, imaPcr, sha, type TestImaEntry } from '../../../lib/tpm/testing/ima-list.ts';
import type { Guest } from './guest.ts';
import type { SoftwareTpm } from './guest-tpm.ts';

const LINE_BYTES = 1024;
const AGGREGATED_PCRS = 10;

export class WatchedGuest {
  /** What has run, after the boot's own entry. */
  readonly ran: TestImaEntry[] = [imaNg('/bin/busybox')];
  /** In PCR 10 and not in the list. */
  readonly hidden: TestImaEntry[] = [];
  /** Whether its TPM writes its state down before each answer. */
  notes = false;
  readonly #guest: Guest;
  readonly #tpm: SoftwareTpm;

  constructor(guest: Guest, tpm: SoftwareTpm) {
    this.#guest = guest;
    this.#tpm = tpm;
  }

  get list(): TestImaEntry[] {
    const pcrs = Array.from({ length: AGGREGATED_PCRS }, (_, index) => this.#tpm.pcr(index));
    return [imaNg('boot_aggregate', sha('sha256', concatBytes(...pcrs))), ...this.ran];
  }

  /** The next question, or undefined where the broker has ended the session. */
  async question(): Promise<WatchQuestion | undefined> {
    const line = await this.#guest.lines.next();
    if (line === undefined) return undefined;
    const [word, nonce, machine, boot, from, ...rest] = line.split(' ');
    if (word !== 'observe' || nonce === undefined || machine === undefined || boot === undefined || rest.length > 0) {
      throw new Error(`no question: ${line}`);
    }
    return { nonce: fromHex(nonce), machine, boot, from: Number(from) };
  }

  async answer(question: WatchQuestion): Promise<void> {
    this.#guest.lines.send(await this.answerText(question));
  }

  async answerText(question: WatchQuestion): Promise<string> {
    const measured = imaPcr('sha256', ...this.list, ...this.hidden);
    const { attest, signature } = await this.#tpm.quoteWatched(await observeQualifyingData(question), measured);
    const log = encodeIma(...this.list).subarray(question.from);
    const lines = [`observed ${question.from + log.length}`, `quote ${toHex(attest)} ${toHex(signature)}`];
    for (let at = 0; at < log.length; at += LINE_BYTES)
      lines.push(`ima-log ${toHex(log.subarray(at, at + LINE_BYTES))}`);
    return [...lines, ...(this.notes ? ['noted'] : []), 'end', ''].join('\n');
  }

  /** Says that it is there, and answers as many questions. */
  async answerQuestions(count: number): Promise<void> {
    for (let answered = 0; answered < count; answered += 1) {
      const question = await this.question();
      if (question === undefined) throw new Error('the broker has ended the session');
      await this.answer(question);
    }
  }

  sayThere(): void {
    this.#guest.lines.send('watch 1\n');
  }
}
