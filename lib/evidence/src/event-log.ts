// The event log as a whole: its form, its banks, its replay against the quote, and data that contradicts its digest.
import { concatBytes, equalBytes, fromHex, utf8 } from '@ringwall/bytes';
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
  log: EventLog,
  quotedDigest: Uint8Array,
  context: { readonly policy: Policy; readonly expected: readonly ExpectedEvent[]; readonly challenge: Challenge },
): Promise<Answer> {
  const { pcrs } = context.policy;
  try {
    const values = await replayEventLog(log, 'sha256');
    const replayed = await pcrDigest(values, pcrs);
    if (equalBytes(replayed, quotedDigest)) return holds(`digest of the PCRs ${short(quotedDigest)}`);
    const seen = `the event log does not replay to the quoted PCRs: ${short(replayed)}, quoted ${short(quotedDigest)}`;
    return fails(`${seen}; ${await explainMismatch(values, quotedDigest, context)}`);
  } catch (error) {
    return fails(`the event log cannot be replayed: ${messageOf(error)}`);
  }
}

/** log-covered: an event in a PCR that is not quoted is a story that nobody signed. */
export function checkCovered(log: EventLog, policy: Policy): Answer {
  const strays = uncovered(log, (pcr) => !policy.pcrs.includes(pcr));
  if (strays.length === 0) return holds('all events are in quoted PCRs');
  return fails(`the event log has events in PCRs that were not quoted: ${listPcrs(strays)}`);
}

/** log-untouched: with a replay that holds, a PCR without events is zero. */
export function checkUntouched(log: EventLog, policy: Policy): Answer {
  const touched = uncovered(log, (pcr) => policy.untouchedPcrs.includes(pcr));
  if (touched.length === 0) return holds(`PCRs ${listPcrs(policy.untouchedPcrs)} have no events`);
  return fails(`PCRs that must be untouched have events: ${listPcrs(touched)}`);
}

/** log-data: for the types whose digest is that of their data (PFP 10.4.1), data that is not what was measured. */
export async function checkEventData(log: EventLog): Promise<Answer> {
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

function uncovered(log: EventLog, wanted: (pcr: number) => boolean): number[] {
  const pcrs = log.events.filter(({ type, pcr }) => type !== EV_NO_ACTION && wanted(pcr)).map(({ pcr }) => pcr);
  return [...new Set(pcrs)].toSorted((left, right) => left - right);
}
