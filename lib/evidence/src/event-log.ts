// The event log as a whole: its form, its banks, its replay against the quote, and data that contradicts its digest.
import { concatBytes, equalBytes, fromHex, KnownBytes, utf8 } from '@ringwall/bytes';
import {
  dataIsMeasured,
  digest,
  EV_NO_ACTION,
  parseEventLog,
  pcrDigest,
  replayEventLog,
  standingOfData,
  UNLOCKED_PCR,
  type EventLog,
} from '@ringwall/tpm';
import { listPcrs } from './attestations.ts';
import { unlockedText, type Challenge } from './challenge.ts';
import { fails, holds, type Answer } from './checks.ts';
import { messageOf, short } from './keys.ts';
import type { Policy } from './policy.ts';
import type { ExpectedEvent } from './reference.ts';

/** Replay and judgement take one SHA-256 each; OVMF's direct boot has 25 events, a large server's log 300. */
export const MAX_JUDGED_EVENTS = 2048;

/** What a log's bytes say, whoever sent them and whatever they are compared with. */
export interface StudiedLog {
  readonly log: EventLog;
  /** The PCRs of the SHA-256 bank as the log leads to them, or why it leads nowhere. */
  readonly values: ReadonlyMap<number, Uint8Array> | string;
  /** PCRs that its events extend, ascending. */
  readonly extended: readonly number[];
  /** log-data. */
  readonly data: Answer;
}

/**
 * Machines of one image write the same log at each boot, to the last byte, and to replay it costs more than to verify the
 * signatures of a judgement. Some 100 KiB each; a broker has a few images, in a few sizes of machine.
 */
const MAX_KNOWN_LOGS = 32;
const KNOWN = new KnownBytes<StudiedLog>(MAX_KNOWN_LOGS);

/** As `readLog`, and all that follows from the log alone. `quotedDigest` is what tells the logs of two boots apart. */
export async function studyLog(bytes: Uint8Array, quotedDigest: Uint8Array): Promise<StudiedLog | string> {
  const known = KNOWN.get(bytes, quotedDigest);
  if (known !== undefined) return known;
  const log = readLog(bytes);
  if (typeof log === 'string') return log;
  const studied = { log, values: await replay(log), extended: extendedPcrs(log), data: await checkEventData(log) };
  KNOWN.set(bytes, studied, quotedDigest);
  return studied;
}

/** log-form. A sentence where the log cannot be read. */
export function readLog(bytes: Uint8Array): EventLog | string {
  try {
    const log = parseEventLog(bytes);
    if (log.events.length > MAX_JUDGED_EVENTS) {
      return `the event log has ${log.events.length} events, at most ${MAX_JUDGED_EVENTS} are judged`;
    }
    return log;
  } catch (error) {
    return `the event log cannot be read: ${messageOf(error)}`;
  }
}

/** log-banks: a bank that nobody quotes could hold anything. */
export function checkBanks(log: EventLog): Answer {
  const banks = log.algorithms.map(({ name }) => name);
  if (banks.length === 1 && banks[0] === 'sha256') return holds('sha256');
  return fails(`the event log has the banks ${banks.join(', ')}, expected sha256 alone`);
}

/** log-replay: the demanded PCRs, replayed from the log, have the digest that the TPM signed. */
export async function checkReplay(
  { values }: StudiedLog,
  quotedDigest: Uint8Array,
  context: { readonly policy: Policy; readonly expected: readonly ExpectedEvent[]; readonly challenge: Challenge },
): Promise<Answer> {
  if (typeof values === 'string') return fails(`the event log cannot be replayed: ${values}`);
  const replayed = await pcrDigest(values, context.policy.pcrs);
  if (equalBytes(replayed, quotedDigest)) return holds(`digest of the PCRs ${short(quotedDigest)}`);
  const seen = `the event log does not replay to the quoted PCRs: ${short(replayed)}, quoted ${short(quotedDigest)}`;
  return fails(`${seen}; ${await explainMismatch(values, quotedDigest, context)}`);
}

/** log-covered: an event in a PCR that is not quoted is a story that nobody signed. */
export function checkCovered({ extended }: StudiedLog, policy: Policy): Answer {
  const strays = extended.filter((pcr) => !policy.pcrs.includes(pcr));
  if (strays.length === 0) return holds('all events are in quoted PCRs');
  return fails(`the event log has events in PCRs that were not quoted: ${listPcrs(strays)}`);
}

/** log-untouched: with a replay that holds, a PCR without events is zero. */
export function checkUntouched({ extended }: StudiedLog, policy: Policy): Answer {
  const touched = extended.filter((pcr) => policy.untouchedPcrs.includes(pcr));
  if (touched.length === 0) return holds(`PCRs ${listPcrs(policy.untouchedPcrs)} have no events`);
  return fails(`PCRs that must be untouched have events: ${listPcrs(touched)}`);
}

async function replay(log: EventLog): Promise<ReadonlyMap<number, Uint8Array> | string> {
  try {
    return await replayEventLog(log, 'sha256');
  } catch (error) {
    return messageOf(error);
  }
}

function extendedPcrs({ events }: EventLog): readonly number[] {
  const pcrs = events.filter(({ type }) => type !== EV_NO_ACTION).map(({ pcr }) => pcr);
  return [...new Set(pcrs)].toSorted((left, right) => left - right);
}

/** log-data: for the types whose digest is that of their data (PFP 10.4.1), data that is not what was measured. */
async function checkEventData(log: EventLog): Promise<Answer> {
  for (const event of log.events) {
    if (dataIsMeasured(event.type) === 'always' && (await standingOfData(event, 'sha256')) === 'contradicted') {
      const place = `event ${event.index} (PCR ${event.pcr}, ${event.typeName})`;
      return fails(`the data of ${place} is not what was measured: the log was rewritten`);
    }
  }
  return holds('no event contradicts its digest');
}

/** Guesses that turn "does not match" into something to act on. Each guess is checked by computing it. */
async function explainMismatch(
  values: ReadonlyMap<number, Uint8Array>,
  quotedDigest: Uint8Array,
  context: { readonly policy: Policy; readonly expected: readonly ExpectedEvent[]; readonly challenge: Challenge },
): Promise<string> {
  const { policy, expected, challenge } = context;
  const unlocked = new Map(values);
  await extend(unlocked, UNLOCKED_PCR, await digest('sha256', utf8(unlockedText(challenge.boot))));
  if (equalBytes(await pcrDigest(unlocked, policy.pcrs), quotedDigest)) {
    return 'this boot has unlocked its disk already, and may not ask again';
  }
  const asExpected = new Map<number, Uint8Array>([...values.keys()].map((pcr) => [pcr, new Uint8Array(32)]));
  for (const event of expected) await extend(asExpected, event.pcr, fromHex(event.digest));
  if (equalBytes(await pcrDigest(asExpected, policy.pcrs), quotedDigest)) {
    return 'the quoted PCRs are those of the expected boot, so the log was altered on its way';
  }
  return 'the log was altered, or a PCR was extended without an event';
}

async function extend(values: Map<number, Uint8Array>, pcr: number, measured: Uint8Array): Promise<void> {
  values.set(pcr, await digest('sha256', concatBytes(values.get(pcr) ?? new Uint8Array(32), measured)));
}
