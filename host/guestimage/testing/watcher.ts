// The broker's side of the watch, for tests of the guest: asks, reads the answer, has it judged, and keeps the record.
// The boot that it watches was not judged, so what it starts from is taken from the evidence as it came.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { concatBytes, utf8 } from '@ringwall/bytes';
import {
  askWatch,
  indexRuntimeFiles,
  judgeWatch,
  observeLine,
  parseRuntimeFiles,
  startWatch,
  unlockedText,
  WatchAnswerReader,
  type RuntimeIndex,
  type VtpmEvidence,
  type WatchQuestion,
  type WatchAnswer,
  type WatchRecord,
  type WatchVerdict,
} from '@ringwall/evidence';
import { digest, parseAttest, parseEventLog, replayEventLog, UNLOCKED_PCR, WATCHED_PCRS } from '@ringwall/tpm';
import { TEST_MACHINE, type Session } from './broker.ts';

const ANSWER_MS = 120_000;

export class WatchDouble {
  readonly files: RuntimeIndex;
  #record: WatchRecord;
  #noted = false;

  private constructor(record: WatchRecord, files: RuntimeIndex) {
    this.#record = record;
    this.files = files;
  }

  get record(): WatchRecord {
    return this.#record;
  }

  /** Whether the TPM had written its state down before the last answer. */
  get noted(): boolean {
    return this.#noted;
  }

  static async begin(imageDir: string, evidence: VtpmEvidence, boot: string): Promise<WatchDouble> {
    const values = await replayEventLog(parseEventLog(evidence.eventLog), 'sha256');
    const unlocked = await digest('sha256', utf8(unlockedText(boot)));
    values.set(UNLOCKED_PCR, await digest('sha256', concatBytes(new Uint8Array(32), unlocked)));
    const { clock, resetCount, restartCount } = parseAttest(evidence.quote).clockInfo;
    const record = startWatch({
      machine: TEST_MACHINE,
      boot,
      akPublic: evidence.akPublic,
      pcrs: WATCHED_PCRS.map((pcr) => values.get(pcr) ?? new Uint8Array(32)),
      clock,
      resetCount,
      restartCount,
    });
    const files = parseRuntimeFiles(await readFile(join(imageDir, 'files.json'), 'utf8'));
    return new WatchDouble(record, indexRuntimeFiles(files));
  }

  /** Asks once and judges. Throws where the guest is silent for `answerMs`. */
  async look(session: Session, answerMs: number = ANSWER_MS): Promise<WatchVerdict> {
    const question = askWatch(this.#record);
    const began = performance.now();
    const answer = await ask(session, question, answerMs);
    const waitedMs = performance.now() - began;
    const { verdict, record } = await judgeWatch({
      record: this.#record,
      question,
      answer,
      files: this.files,
      waitedMs,
    });
    this.#record = record;
    this.#noted = answer.noted;
    return verdict;
  }
}

/** What is left of the lines before is passed over. */
async function ask(session: Session, question: WatchQuestion, answerMs: number): Promise<WatchAnswer> {
  session.send(observeLine(question));
  let line = await session.line(answerMs);
  while (!line.startsWith('observed ')) line = await session.line(answerMs);
  const reader = new WatchAnswerReader(question);
  for (;;) {
    const answer = reader.push(line);
    if (answer !== undefined) return answer;
    line = await session.line(answerMs);
  }
}
