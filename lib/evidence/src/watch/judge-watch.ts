// The judgement of a running machine: is it still the boot that was proven, and was everything that ran since a file of
// its image? It takes the record of the boot and gives it back as it stands after the answer; nothing else is kept.
// docs/protocols/watching.md says why each check is there.
import { WATCHED_PCRS, type TPMS_CLOCK_INFO } from '@ringwall/tpm';
import { equalBytes } from '@ringwall/bytes';
import { checkQuotedPcrs, checkSignature, readQuote, type Quote } from '../attestations.ts';
import { fails, holds, type Answer } from '../checks.ts';
import { EVIDENCE_LIMITS_BYTES } from '../evidence.ts';
import { checkSigner, readAk, short } from '../keys.ts';
import type { Check } from '../verdict.ts';
import { WATCH_LIMITS, type WatchAnswer } from './answer.ts';
import type { WatchBaseline } from './baseline.ts';
import { checkStart, describeStray, findQuoted, findQuotedButOne, readList } from './measurements.ts';
import { burnQuestion, observeQualifyingData, type WatchQuestion } from './question.ts';
import type { Stray, WatchProgress, WatchRecord } from './record.ts';
import type { RuntimeIndex } from './runtime-files.ts';
import { WatchFindings } from './watch-checks.ts';

/** A guest under emulation answers in a second; one that was paused meanwhile is asked again. */
export const MAX_ANSWER_MS = 30_000;

export interface WatchJudgement {
  readonly record: WatchRecord;
  readonly question: WatchQuestion;
  readonly answer: WatchAnswer;
  /** Of the image that this boot was proven to be. */
  readonly files: RuntimeIndex;
  /** From question to answer, by a clock that only goes forward. */
  readonly waitedMs: number;
}

/**
 * `expected`: proven, and all that ran is of the image. `unexpected`: proven, and something that ran is not: what follows
 * is a matter of policy. `unfinished`: sound so far, but the list goes on: ask again at once; this is no good news yet.
 * `refused`: this answer proves nothing, whatever it says.
 */
export type WatchOutcome = 'expected' | 'unexpected' | 'unfinished' | 'refused';

export interface WatchVerdict {
  readonly outcome: WatchOutcome;
  readonly checks: readonly Check[];
  /** Sentences that say why it is not `expected`. */
  readonly reasons: readonly string[];
  /** What is not of the image and was proven by this answer first. */
  readonly news: readonly Stray[];
}

export interface WatchResult {
  readonly verdict: WatchVerdict;
  /** To be kept, and asked on from. The one that was given, where the answer was refused. */
  readonly record: WatchRecord;
}

/** Judges. Never throws over what it is given: what is wrong is in the verdict. */
export async function judgeWatch({ record, question, answer, files, waitedMs }: WatchJudgement): Promise<WatchResult> {
  const findings = new WatchFindings();
  const { baseline } = record;
  // Burnt before anything is looked at: no second answer to it is ever judged.
  findings.record('question', checkQuestion(burnQuestion(question), question, record));
  findings.record('fresh', checkFresh(waitedMs));
  if (!findings.record('size', checkSize(answer))) return refused(findings, record);

  const observed = await observe(findings, { record, question, answer, files });
  if (observed === undefined) return refused(findings, record);
  const { proven, reached, clock } = observed;
  if (proven !== undefined && findings.holdsBut('violations', 'files')) {
    return {
      verdict: {
        outcome: findings.holdsBut() ? 'expected' : 'unexpected',
        checks: findings.checks(),
        reasons: describeStrays(proven, files),
        news: proven.strays.filter(({ index }) => index >= record.proven.ima.entries),
      },
      record: { baseline, proven, pending: undefined, clock },
    };
  }
  if (proven === undefined && answer.more && findings.holdsBut('pcrs', 'violations', 'files')) {
    return {
      verdict: { outcome: 'unfinished', checks: findings.checks(), reasons: [UNFINISHED], news: [] },
      record: { baseline, proven: record.proven, pending: reached, clock },
    };
  }
  return refused(findings, record);
}

/** What an answer shows of its boot, whoever asked the question and however long ago. */
export interface Observed {
  /** Up to where the quote speaks for the list; undefined where it speaks for no place in it. */
  readonly proven: WatchProgress | undefined;
  /** The same, or how far the list was read. */
  readonly reached: WatchProgress;
  readonly clock: bigint;
}

/** All checks but question, fresh and size. Undefined where the quote or the list cannot even be read. */
export async function observe(
  findings: WatchFindings,
  { record, question, answer, files }: Omit<WatchJudgement, 'waitedMs'>,
): Promise<Observed | undefined> {
  const { baseline } = record;
  const from = record.pending ?? record.proven;
  const quote = await judgeQuote(findings, { record, question, answer });
  const list = readList(answer.log, { from, more: answer.more, files });
  findings.record('list-form', list.form);
  findings.record('list-template', list.template);
  findings.record('list-start', await checkStart(list, from, baseline));
  if (quote === undefined || !list.form.ok) return undefined;

  const { pcrDigest } = quote.attested;
  const whole = await findQuoted(list, pcrDigest, baseline);
  const proven = whole ?? (answer.more ? undefined : await findQuotedButOne(answer.log, list, pcrDigest, baseline));
  findings.record('pcrs', checkReached(proven, answer.more));
  const reached = proven ?? list.steps.at(-1) ?? from;
  findings.record('violations', checkViolations(reached));
  findings.record('files', checkFiles(reached, files));
  return { proven, reached, clock: quote.clockInfo.clock };
}

const UNFINISHED = 'the list of what ran goes on';

function refused(findings: WatchFindings, record: WatchRecord): WatchResult {
  const verdict = { outcome: 'refused', checks: findings.checks(), reasons: findings.failures(), news: [] } as const;
  // A list that was read while no quote spoke for it may be what is wrong: the next question starts where one did.
  return { verdict, record: { ...record, pending: undefined } };
}

/** Undefined where the bytes are no quote of this boot's key: then nothing that they say is asked any further. */
async function judgeQuote(
  findings: WatchFindings,
  given: Pick<WatchJudgement, 'record' | 'question' | 'answer'>,
): Promise<Quote | undefined> {
  const { record, question, answer } = given;
  const ak = await readAk(record.baseline.akPublic);
  if (typeof ak === 'string') {
    findings.record('quote-signature', fails(ak));
    return undefined;
  }
  const signature = await checkSignature(ak, answer.quoteSignature, answer.quote, 'quote');
  if (!findings.record('quote-signature', signature)) return undefined;
  const quote = readQuote(answer.quote);
  if (typeof quote === 'string') {
    findings.record('quote-form', fails(quote));
    return undefined;
  }
  findings.record('quote-form', holds('TPMS_ATTEST of a quote'));
  findings.record('quote-signer', await checkSigner(ak, quote.qualifiedSigner, 'quote'));
  findings.record('quote-question', checkAnswers(quote, await observeQualifyingData(question)));
  findings.record('quote-pcrs', checkQuotedPcrs(quote, WATCHED_PCRS));
  findings.record('same-boot', checkSameBoot(quote.clockInfo, record.baseline));
  findings.record('clock-forward', checkClock(quote.clockInfo, record.clock));
  return quote;
}

/** question */
function checkQuestion(
  unanswered: boolean,
  question: WatchQuestion,
  { baseline, proven, pending }: WatchRecord,
): Answer {
  if (!unanswered) return fails('the question was answered before, or was never asked');
  if (question.machine !== baseline.machine || question.boot !== baseline.boot) {
    return fails('the question was asked of another boot');
  }
  const { bytes } = (pending ?? proven).ima;
  if (question.from !== bytes)
    return fails(`the question asks from byte ${question.from}, the record stands at ${bytes}`);
  return holds(`from byte ${bytes}`);
}

/** fresh */
function checkFresh(waitedMs: number): Answer {
  if (waitedMs >= 0 && waitedMs <= MAX_ANSWER_MS) return holds(`${Math.round(waitedMs)} ms`);
  return fails(`the answer came after ${Math.round(waitedMs)} ms, expected at most ${MAX_ANSWER_MS}`);
}

/** size: a caller may have read the answer otherwise than by WatchAnswerReader. */
function checkSize({ quote, quoteSignature, log }: WatchAnswer): Answer {
  const wrong = [
    ...tooLarge('quote', quote, EVIDENCE_LIMITS_BYTES.quote),
    ...tooLarge('signature', quoteSignature, EVIDENCE_LIMITS_BYTES.quoteSignature),
    ...tooLarge('list', log, WATCH_LIMITS.logBytes),
  ];
  return wrong.length === 0
    ? holds(`${log.length} bytes of the list`)
    : fails(`the answer is malformed: ${wrong.join(', ')}`);
}

function tooLarge(what: string, bytes: Uint8Array, limit: number): string[] {
  return bytes.length <= limit ? [] : [`the ${what} has ${bytes.length} bytes, at most ${limit}`];
}

/** quote-question */
function checkAnswers(quote: Quote, expected: Uint8Array): Answer {
  if (equalBytes(quote.extraData, expected)) return holds(`qualifying data ${short(expected)}`);
  return fails(
    `the quote answers another question: its qualifying data is ${short(quote.extraData)}, expected ` +
      `${short(expected)} for this nonce, machine, boot and place in the list`,
  );
}

/** same-boot: each reset or restart of the TPM begins another boot, or another life of a TPM that was put back. */
function checkSameBoot({ resetCount, restartCount }: TPMS_CLOCK_INFO, baseline: WatchBaseline): Answer {
  if (resetCount === baseline.resetCount && restartCount === baseline.restartCount) {
    return holds(`reset ${resetCount}, restart ${restartCount}`);
  }
  return fails(
    `the TPM is not in the boot that was proven: reset ${resetCount} and restart ${restartCount}, ` +
      `expected ${baseline.resetCount} and ${baseline.restartCount}`,
  );
}

/** clock-forward: within one boot the clock never stands still for long, and never goes back. */
function checkClock({ clock }: TPMS_CLOCK_INFO, last: bigint): Answer {
  if (clock >= last) return holds(`${clock} ms`);
  return fails(`the TPM’s clock went back: ${clock} ms, ${last} ms before: an earlier state of it was put back`);
}

/** pcrs */
function checkReached(proven: WatchProgress | undefined, more: boolean): Answer {
  if (proven !== undefined) return holds(`${proven.ima.entries} entries lead to the quoted PCRs`);
  if (more) return fails(UNFINISHED);
  return fails(
    'the quoted PCRs are not those of this boot with this list: entries are missing or were altered, or a PCR was extended',
  );
}

/** violations */
function checkViolations({ ima, strays }: WatchProgress): Answer {
  if (ima.violations === 0) return holds('none');
  const known = strays.find(({ kind }) => kind === 'changed');
  const where = known === undefined ? '' : `, ${known.path} first`;
  return fails(`${ima.violations} files were changed while they were measured${where}`);
}

/** files */
function checkFiles({ ima, strays, strayCount }: WatchProgress, files: RuntimeIndex): Answer {
  const [first] = strays;
  if (first === undefined) return holds(`${ima.entries} entries, all of the image ${files.image}`);
  const others = strayCount > 1 ? `; and ${strayCount - 1} more` : '';
  return fails(`${describeStray(first, files)}${others}`);
}

/** Sentences about all that ran and is not of the image. */
export function describeStrays({ strays, strayCount }: WatchProgress, files: RuntimeIndex): readonly string[] {
  const sentences = strays.map((stray) => describeStray(stray, files));
  return strayCount > strays.length ? [...sentences, `and ${strayCount - strays.length} more`] : sentences;
}
