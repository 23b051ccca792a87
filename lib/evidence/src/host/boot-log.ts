// A host's boot log: replayed, and each event beside what the host's reference holds. Unlike a machine's, it is of a
// firmware that nobody computed beforehand: notes that extend nothing are let through, and rules may excuse the rest.
import { KnownBytes, toHex } from '@ringwall/bytes';
import {
  checkBootSequence,
  EV_NO_ACTION,
  parseEventData,
  parseEventLog,
  replayEventLog,
  type BootSequence,
  type EventData,
  type EventLog,
  type LogEvent,
} from '@ringwall/tpm';
import { listPcrs } from '../attestations.ts';
import { fails, holds, type Answer } from '../checks.ts';
import { judgeEvents } from '../event-judgement.ts';
import { readLog } from '../event-log.ts';
import { MAX_EXPECTED_EVENTS, type ExpectedEvent } from '../reference.ts';
import { EvidenceError } from '../errors.ts';
import { excuseOf, failsUnless } from '../hardware/policy-parts.ts';
import { messageOf } from '../keys.ts';
import { applyRules } from '../rules.ts';
import { GOOD_STATUSES, type JudgedEvent } from '../verdict.ts';
import { IMA_PCR, type HostPolicy } from './policy.ts';

const MAX_WHAT_CHARACTERS = 128;

/** host-log-banks */
export function checkHostBanks(log: EventLog, policy: HostPolicy): Answer {
  const banks = log.algorithms.map(({ name }) => name);
  if (!banks.includes('sha256')) return fails(`the boot log has the banks ${banks.join(', ')}, and not sha256`);
  const others = banks.filter((bank) => bank !== 'sha256');
  if (others.length === 0) return holds('sha256');
  return failsUnless(
    excuseOf(policy.exceptions, 'other-banks'),
    `the boot log has the banks ${others.join(', ')} too, which nobody quotes`,
  );
}

/** host-log-covered: a story that nobody signed, or that would be told twice. */
export function checkHostCovered(log: EventLog, policy: HostPolicy): Answer {
  const extended = log.events.filter(({ type }) => type !== EV_NO_ACTION).map(({ pcr }) => pcr);
  const strays = [...new Set(extended)].filter((pcr) => pcr === IMA_PCR || !policy.pcrs.includes(pcr));
  if (strays.length === 0) return holds('all events are in quoted PCRs');
  return fails(`the boot log has events in PCRs ${listPcrs(strays.toSorted((a, b) => a - b))}, which it must not`);
}

/** host-log-order */
export function checkHostOrder({ sequence }: HostLog, policy: HostPolicy): Answer {
  if (typeof sequence === 'string') return fails(sequence);
  const { faults, exited } = sequence;
  const [first] = faults;
  if (first === undefined && exited) return holds('one separator a PCR, then the operating system');
  const wrong = first?.message ?? 'the log does not say that the firmware handed over to an operating system';
  const more = faults.length > 1 ? `; and ${faults.length - 1} more` : '';
  return failsUnless(excuseOf(policy.exceptions, 'boot-order'), `${wrong}${more}`);
}

export interface HostLog {
  readonly log: EventLog;
  /** The PCRs that it leads to, or a sentence. */
  readonly pcrs: ReadonlyMap<number, Uint8Array> | string;
  /** Its events by the firmware's order, or a sentence. */
  readonly sequence: BootSequence | string;
}

/** A host starts many machines in one boot. Some 100 KiB each, and as many hosts as may start machines at one time. */
const MAX_KNOWN_LOGS = 64;
const KNOWN = new KnownBytes<HostLog>(MAX_KNOWN_LOGS);

/** A sentence where the log cannot be read. `hint` tells hosts apart whose logs end alike: the attestation key. */
export async function readHostLog(bytes: Uint8Array, hint: Uint8Array): Promise<HostLog | string> {
  const known = KNOWN.get(bytes, hint);
  if (known !== undefined) return known;
  const log = readLog(bytes);
  if (typeof log === 'string') return log;
  const read = { log, pcrs: await replayHostLog(log), sequence: await followHostLog(log) };
  KNOWN.set(bytes, read, hint);
  return read;
}

async function followHostLog(log: EventLog): Promise<BootSequence | string> {
  try {
    return await checkBootSequence(log, 'sha256');
  } catch (error) {
    return `the boot log cannot be followed: ${messageOf(error)}`;
  }
}

async function replayHostLog(log: EventLog): Promise<ReadonlyMap<number, Uint8Array> | string> {
  try {
    return await replayEventLog(log, 'sha256');
  } catch (error) {
    return `the boot log cannot be replayed: ${messageOf(error)}`;
  }
}

/** All events beside the expected ones. */
export function judgeHostEvents(
  log: EventLog,
  expected: readonly ExpectedEvent[],
  policy: HostPolicy,
): readonly JudgedEvent[] {
  const judged = judgeEvents(log, expected).map((event): JudgedEvent => {
    if (event.type !== 'EV_NO_ACTION' || event.status !== 'unexpected') return event;
    // It extends nothing. A StartupLocality says what PCR 0 began with, and the replay has believed that or failed.
    return { ...event, status: 'not-measured', sentence: `a note of the firmware (PCR ${event.pcr}, ${event.type})` };
  });
  return applyRules(judged, policy.rules);
}

/** host-events */
export function checkHostEvents(events: readonly JudgedEvent[]): Answer {
  const [first, ...others] = events.filter(({ status }) => !GOOD_STATUSES.has(status));
  const allowed = events.filter(({ status }) => status === 'allowed').length;
  if (first === undefined) return holds(allowed === 0 ? 'all as expected' : `${allowed} differ as the policy allows`);
  return fails(others.length === 0 ? first.sentence : `${first.sentence}; and ${others.length} more`);
}

/**
 * What a boot log of this very host measured, as what is expected of its next boots: for enrolment, by somebody who has
 * reason to believe in the boot that they saw. Throws ParseError, and EvidenceError where no reference could hold it.
 */
export function expectedOfLog(bytes: Uint8Array): readonly ExpectedEvent[] {
  const events = parseEventLog(bytes).events.filter(({ type }) => type !== EV_NO_ACTION);
  if (events.length > MAX_EXPECTED_EVENTS) {
    throw new EvidenceError('too-large', `the boot log has ${events.length} events, at most ${MAX_EXPECTED_EVENTS}`);
  }
  return events.map((event) => {
    const digest = event.digests.get('sha256');
    if (digest === undefined) {
      throw new EvidenceError('reference-invalid', `event ${event.index} of the boot log has no SHA-256 digest`);
    }
    return { pcr: event.pcr, type: event.typeName, digest: toHex(digest), what: whatOf(event) };
  });
}

/** What a person would call it, by what the log says; printable ASCII, since the log is anybody's. */
function whatOf(event: LogEvent): string {
  const words = wordsOf(parseEventData(event)) ?? event.typeName;
  return words.replaceAll(/[^\x20-\x7e]+/g, '?').slice(0, MAX_WHAT_CHARACTERS);
}

function wordsOf(data: EventData): string | undefined {
  switch (data.kind) {
    case 'separator':
      return 'separator';
    case 'variable':
      return `variable ${data.name}`;
    case 'image-load':
      return `program ${data.devicePath.split('/').at(-1) ?? ''}`.trim();
    case 'firmware-blob':
      return `firmware ${data.description}`.trim();
    case 'handoff-tables':
      return `tables ${data.description}`.trim();
    case 'partition-table':
      return 'partition table';
    case 'crtm-version':
      return data.version === undefined ? undefined : `firmware version ${data.version}`;
    case 'text':
      return data.text;
    case 'tagged':
      return data.tags[0]?.name;
    case 'bytes':
    case 'ipl':
    case 'malformed':
    case 'spdm':
    case 'unknown':
    case 'spec-id':
    case 'startup-locality':
    case 'hcrtm-component':
    case 'nv-index-record':
    case 'reference-manifest':
      break;
  }
  return undefined;
}
