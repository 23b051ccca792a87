// Each event of a log beside what the reference expects at its place among the events of its PCR.
// Neither type nor data of an event is authenticated, only its digest is: a type must be the expected one all the same,
// so that no tool that believes the log shows something else than what was judged.
import { toHex } from '@ringwall/bytes';
import { EV_NO_ACTION, type EventLog, type LogEvent } from '@ringwall/tpm';
import { fails, holds, type Answer } from './checks.ts';
import { short } from './keys.ts';
import type { ExpectedEvent } from './reference.ts';
import { GOOD_STATUSES, type JudgedEvent } from './verdict.ts';

function byPcr<T extends { readonly pcr: number }>(events: readonly T[]): ReadonlyMap<number, readonly T[]> {
  const lists = new Map<number, T[]>();
  for (const event of events) {
    const list = lists.get(event.pcr);
    if (list === undefined) lists.set(event.pcr, [event]);
    else list.push(event);
  }
  return lists;
}

/** An event with what is compared. */
interface Measured {
  readonly index: number;
  readonly pcr: number;
  readonly type: string;
  readonly digest: string;
}

/** What was judged, of logs and of frozen lists of events: while both live, neither changes. */
const JUDGED = new WeakMap<EventLog, WeakMap<readonly ExpectedEvent[], readonly JudgedEvent[]>>();

/** All events of the log in its order, then those that are missing from it. */
export function judgeEvents(log: EventLog, expected: readonly ExpectedEvent[]): readonly JudgedEvent[] {
  const ofLog = JUDGED.get(log) ?? new WeakMap<readonly ExpectedEvent[], readonly JudgedEvent[]>();
  const known = ofLog.get(expected);
  if (known !== undefined) return known;
  const judged = judgeAnew(log, expected);
  if (Object.isFrozen(expected)) JUDGED.set(log, ofLog.set(expected, judged));
  return judged;
}

/** events: after the rules of the policy. */
export function checkEvents(events: readonly JudgedEvent[]): Answer {
  const [first, ...others] = events.filter(({ status }) => !GOOD_STATUSES.has(status));
  const allowed = events.reduce((count, { status }) => (status === 'allowed' ? count + 1 : count), 0);
  if (first === undefined) return holds(allowed === 0 ? 'all as expected' : `${allowed} differ as the policy allows`);
  return fails(others.length === 0 ? first.sentence : `${first.sentence}; and ${others.length} more`);
}

function judgeAnew(log: EventLog, expected: readonly ExpectedEvent[]): readonly JudgedEvent[] {
  const judged: JudgedEvent[] = [];
  const measured: Measured[] = [];
  for (const event of log.events) {
    if (event.type === EV_NO_ACTION) judged.push(judgeNoAction(log, event));
    else measured.push({ index: event.index, pcr: event.pcr, type: event.typeName, digest: digestOf(event) });
  }
  const [measuredByPcr, expectedByPcr] = [byPcr(measured), byPcr(expected)];
  const pcrs = new Set([...measuredByPcr.keys(), ...expectedByPcr.keys()]);
  for (const pcr of pcrs) {
    judged.push(...align(measuredByPcr.get(pcr) ?? [], expectedByPcr.get(pcr) ?? []));
  }
  return judged.toSorted((left, right) => position(left) - position(right));
}

/**
 * The log's own header is the one EV_NO_ACTION that is let through. Others extend nothing, but a StartupLocality other
 * than 0 changes what PCR 0 began with, and our machines' firmware writes none.
 */
function judgeNoAction(log: EventLog, event: LogEvent): JudgedEvent {
  const place = `(PCR ${event.pcr}, ${event.typeName}, event ${event.index})`;
  const isHeader = event.index === 0 && event.pcr === 0 && log.format === 'crypto-agile';
  return Object.freeze({
    status: isHeader ? 'not-measured' : 'unexpected',
    pcr: event.pcr,
    type: event.typeName,
    what: '',
    measured: undefined,
    expected: undefined,
    index: event.index,
    sentence: isHeader ? `header of the log ${place}` : `a note in the log that nothing expects ${place}`,
  });
}

/**
 * Walks both lists at once. It decides nothing: any difference at all refuses. It only finds the shortest way to say
 * what is different, looking ahead for the event that is missing or the one that is too many.
 */
function align(measured: readonly Measured[], expected: readonly ExpectedEvent[]): JudgedEvent[] {
  const judged: JudgedEvent[] = [];
  let at = 0;
  let next = 0;
  while (at < measured.length || next < expected.length) {
    const seen = measured[at];
    const wanted = expected[next];
    if (seen === undefined) {
      if (wanted !== undefined) judged.push(missing(wanted));
      next += 1;
    } else if (wanted === undefined) {
      judged.push(unexpected(seen));
      at += 1;
    } else if (isSame(seen, wanted)) {
      judged.push(asExpected(seen, wanted));
      at += 1;
      next += 1;
    } else {
      const untilWanted = measured.findIndex((event, index) => index > at && isSame(event, wanted)) - at;
      const untilSeen = expected.findIndex((event, index) => index > next && isSame(seen, event)) - next;
      if (untilWanted > 0 && (untilSeen <= 0 || untilWanted <= untilSeen)) {
        judged.push(unexpected(seen));
        at += 1;
      } else if (untilSeen > 0) {
        judged.push(missing(wanted));
        next += 1;
      } else if (seen.type === wanted.type || seen.digest === wanted.digest) {
        judged.push(altered(seen, wanted));
        at += 1;
        next += 1;
      } else {
        judged.push(unexpected(seen));
        at += 1;
      }
    }
  }
  return judged;
}

function isSame(seen: Measured, wanted: ExpectedEvent): boolean {
  return seen.digest === wanted.digest && seen.type === wanted.type;
}

function asExpected(seen: Measured, wanted: ExpectedEvent): JudgedEvent {
  const sentence = `${wanted.what} (PCR ${wanted.pcr}, ${wanted.type}): measured as expected`;
  return judgedAs('expected', seen, wanted, sentence);
}

function altered(seen: Measured, wanted: ExpectedEvent): JudgedEvent {
  const difference =
    seen.digest === wanted.digest
      ? `the log calls it ${seen.type}, expected ${wanted.type}`
      : `measured ${short(seen.digest)}, expected ${short(wanted.digest)}`;
  return judgedAs('altered', seen, wanted, `${wanted.what} (PCR ${wanted.pcr}, ${wanted.type}): ${difference}`);
}

function unexpected(seen: Measured): JudgedEvent {
  const place = `(PCR ${seen.pcr}, ${seen.type}, event ${seen.index})`;
  const sentence = `an event that nothing expects ${place}: measured ${short(seen.digest)}`;
  return judgedAs('unexpected', seen, undefined, sentence);
}

function missing(wanted: ExpectedEvent): JudgedEvent {
  const sentence = `${wanted.what} (PCR ${wanted.pcr}, ${wanted.type}): never measured, expected ${short(wanted.digest)}`;
  return judgedAs('missing', undefined, wanted, sentence);
}

function judgedAs(
  status: JudgedEvent['status'],
  seen: Measured | undefined,
  wanted: ExpectedEvent | undefined,
  sentence: string,
): JudgedEvent {
  return Object.freeze({
    status,
    pcr: wanted?.pcr ?? seen?.pcr ?? 0,
    type: seen?.type ?? wanted?.type ?? '',
    what: wanted?.what ?? '',
    measured: seen?.digest,
    expected: wanted?.digest,
    index: seen?.index,
    sentence,
  });
}

function digestOf(event: LogEvent): string {
  const digest = event.digests.get('sha256');
  return digest === undefined ? '' : toHex(digest);
}

function position(event: JudgedEvent): number {
  return event.index ?? Number.MAX_SAFE_INTEGER;
}
