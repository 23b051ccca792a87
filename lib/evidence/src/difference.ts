// Why a boot measured something else: event by event, against what was expected and against the last boot that was good.
// What changed, which file it is and which package it came from is said by reference values, never by the log.
import { equalBytes, utf8, toHex } from '@ringwall/bytes';
import { digest, parseEventLog, parseUefiVariable, type EventLog, type LogEvent } from '@ringwall/tpm';
import { judgeEvents } from './event-judgement.ts';
import { short } from './keys.ts';
import type { ExpectedEvent } from './reference.ts';
import type { Package, ReferenceContent } from './signed-reference.ts';
import { GOOD_STATUSES, type JudgedEvent } from './verdict.ts';

/** More sentences than this explain nothing. */
const MAX_SENTENCES = 64;
/** A variable's name or an action's text, as far as it helps a person. */
const MAX_DETAIL_CHARACTERS = 80;

/** A boot that was accepted, to compare with. */
export interface GoodBoot {
  readonly at: Date;
  /** Its event log, which its quote covered. */
  readonly eventLog: Uint8Array;
  readonly reference: Pick<ReferenceContent, 'events'>;
}

export interface DifferenceInput {
  /** The log of the boot to explain. It must replay to a quote that was verified, else all of this is a story. */
  readonly eventLog: Uint8Array;
  readonly reference: Pick<ReferenceContent, 'events'>;
  readonly lastGood?: GoodBoot | undefined;
  /** Other reference values that are known: one of them may be what booted. */
  readonly known?: readonly (ReferenceContent & { readonly id: string })[] | undefined;
}

/** One measurement that is not as expected. */
export interface Difference extends Pick<JudgedEvent, 'status' | 'pcr' | 'type' | 'what' | 'measured' | 'expected'> {
  /** At the same place in the last good boot; undefined where there was nothing, or no such boot. */
  readonly lastGood: string | undefined;
  readonly file: string | undefined;
  readonly package: string | undefined;
  /** What is different, then what more is known of it. */
  readonly sentences: readonly string[];
}

export interface Explanation {
  readonly differences: readonly Difference[];
  /** For a person, in order; says so where nothing differs. */
  readonly sentences: readonly string[];
}

/** Throws ParseError where a log cannot be read. */
export async function explainDifference(input: DifferenceInput): Promise<Explanation> {
  const log = parseEventLog(input.eventLog);
  const judged = judgeEvents(log, input.reference.events).filter(({ status }) => !GOOD_STATUSES.has(status));
  const sinceGood = input.lastGood === undefined ? undefined : compareLogs(log, input.lastGood);
  const differences = await Promise.all(judged.map((event) => explain(event, log, sinceGood, input)));
  const sentences = differences.flatMap((difference) => difference.sentences);
  if (differences.length === 0) sentences.push('every measurement is the expected one');
  if (input.lastGood !== undefined && sinceGood !== undefined) {
    sentences.push(describeSince(input.lastGood, sinceGood.changed));
  }
  return { differences, sentences: shorten(sentences) };
}

/** What an update of reference values would change, event by event and package by package, as sentences. */
export function compareReferences(before: ReferenceContent | undefined, after: ReferenceContent): readonly string[] {
  if (before === undefined) {
    return [`nothing is accepted for ${after.for.image.name} yet: all ${after.events.length} measurements are new`];
  }
  const sentences: string[] = [];
  for (const part of ['image', 'kernel', 'firmware'] as const) {
    const [was, is] = [before.for[part], after.for[part]];
    if (was.digest !== is.digest) {
      sentences.push(`the ${part} is another: ${was.name} ${short(was.digest)}, now ${is.name} ${short(is.digest)}`);
    }
  }
  sentences.push(...comparePackages(before.packages, after.packages));
  for (const change of alignExpected(before.events, after.events)) {
    const { was, is } = change;
    const event = is ?? was;
    if (event === undefined) continue;
    const place = `${event.what} (PCR ${event.pcr})`;
    const origin = originOf(event);
    if (was === undefined) sentences.push(`${place} is expected in addition: ${short(event.digest)}${origin}`);
    else if (is === undefined) sentences.push(`${place} is expected no longer: ${short(event.digest)}${origin}`);
    else sentences.push(`${place} is expected as ${short(is.digest)} instead of ${short(was.digest)}${origin}`);
  }
  return sentences.length === 0 ? ['nothing changes'] : shorten(sentences);
}

interface SinceGood {
  /** What was there at the place of an event of the log, by its index. */
  readonly before: ReadonlyMap<number, string | undefined>;
  readonly missing: readonly JudgedEvent[];
  readonly changed: number;
}

function compareLogs(log: EventLog, good: GoodBoot): SinceGood {
  const goodLog = parseEventLog(good.eventLog);
  // The good boot's own events become the expectation, under the names that its reference gives them.
  const named = judgeEvents(goodLog, good.reference.events);
  const expected: ExpectedEvent[] = named.flatMap(({ pcr, type, measured, what }) =>
    measured === undefined ? [] : [{ pcr, type, digest: measured, what }],
  );
  const judged = judgeEvents(log, expected);
  const before = new Map(
    judged.flatMap(({ index, expected: was }) => (index === undefined ? [] : [[index, was] as const])),
  );
  const changed = judged.filter(({ status }) => !GOOD_STATUSES.has(status));
  return { before, missing: changed.filter(({ status }) => status === 'missing'), changed: changed.length };
}

async function explain(
  event: JudgedEvent,
  log: EventLog,
  sinceGood: SinceGood | undefined,
  { reference, lastGood, known = [] }: DifferenceInput,
): Promise<Difference> {
  const origin = reference.events.find(
    ({ pcr, digest: expected, what }) => pcr === event.pcr && expected === event.expected && what === event.what,
  );
  const before = event.index === undefined ? undefined : sinceGood?.before.get(event.index);
  const measured = log.events.find(({ index }) => index === event.index);
  const sentences = [
    event.sentence,
    ...sentence(origin === undefined ? '' : originOf(origin).replace(/^, /, 'it is ')),
    ...sentence(measured === undefined ? '' : await detailOf(measured)),
    ...describeKnown(event, known),
    ...describeLastGood(event, before, lastGood, sinceGood),
  ];
  const { status, pcr, type, what, measured: seen, expected } = event;
  const from = { file: origin?.file, package: origin?.package };
  return { status, pcr, type, what, measured: seen, expected, lastGood: before, ...from, sentences: indent(sentences) };
}

function describeLastGood(
  event: JudgedEvent,
  before: string | undefined,
  lastGood: GoodBoot | undefined,
  sinceGood: SinceGood | undefined,
): readonly string[] {
  if (lastGood === undefined || sinceGood === undefined) return [];
  const when = `at the last good boot, ${lastGood.at.toISOString()},`;
  if (event.status === 'missing') {
    const isGone = sinceGood.missing.some(({ pcr, expected }) => pcr === event.pcr && expected === event.expected);
    return [isGone ? `${when} it was there` : `${when} it was not there either`];
  }
  if (before === undefined) return [`${when} there was no such event`];
  if (before === event.measured) return [`${when} it was the same: what is expected has changed, not the machine`];
  const asExpected = before === event.expected ? ', as it is expected now' : '';
  return [`${when} it was ${short(before)}${asExpected}`];
}

/** A measurement that other reference values expect says what it is. */
function describeKnown(event: JudgedEvent, known: NonNullable<DifferenceInput['known']>): readonly string[] {
  for (const { id, events, for: about } of known) {
    const same = events.find(({ pcr, digest: expected }) => pcr === event.pcr && expected === event.measured);
    if (same !== undefined) {
      const image = `${about.image.name} (sha256 ${short(about.image.digest)})`;
      return [`what was measured is the ${same.what} of ${image}, by ${short(id)}${originOf(same)}`];
    }
  }
  return [];
}

/** What the log's data says, where its hash is the digest: all other data is anybody's. */
async function detailOf(event: LogEvent): Promise<string> {
  const measured = event.digests.get('sha256');
  if (measured === undefined || !equalBytes(await digest('sha256', event.data), measured)) return '';
  switch (event.typeName) {
    case 'EV_ACTION':
    case 'EV_EFI_ACTION':
      return `it is the action “${printable(event.data)}”`;
    case 'EV_EFI_VARIABLE_DRIVER_CONFIG':
    case 'EV_EFI_VARIABLE_AUTHORITY':
    case 'EV_EFI_VARIABLE_BOOT':
    case 'EV_EFI_VARIABLE_BOOT2':
      return variableDetail(event.data);
    default:
      return '';
  }
}

function variableDetail(data: Uint8Array): string {
  try {
    const variable = parseUefiVariable(data);
    return `it is the UEFI variable ${printable(utf8(variable.name))}, with ${variable.data.length} bytes`;
  } catch {
    return ''; // hashed as a whole, and no variable: there is nothing to say of it
  }
}

function printable(bytes: Uint8Array): string {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, MAX_DETAIL_CHARACTERS)).replace(/\0+$/, '');
  return /^[\x20-\x7e]*$/.test(text) ? text : toHex(bytes.subarray(0, MAX_DETAIL_CHARACTERS / 2));
}

function describeSince(good: GoodBoot, changed: number): string {
  const when = `the last good boot, ${good.at.toISOString()}`;
  if (changed === 0) return `nothing has changed since ${when}`;
  return `${changed === 1 ? 'one measurement has' : `${changed} measurements have`} changed since ${when}`;
}

function comparePackages(before: readonly Package[], after: readonly Package[]): readonly string[] {
  const was = new Map(before.map(({ name, version }) => [name, version]));
  const is = new Map(after.map(({ name, version }) => [name, version]));
  return [
    ...[...is].flatMap(([name, version]) => {
      const old = was.get(name);
      if (old === version) return [];
      return [old === undefined ? `package ${name} ${version} is new` : `package ${name} ${version}, before ${old}`];
    }),
    ...[...was].flatMap(([name, version]) => (is.has(name) ? [] : [`package ${name} ${version} is gone`])),
  ];
}

/** Events of both by PCR and name, in their order; those that are the same are left out. */
function alignExpected(
  before: readonly ExpectedEvent[],
  after: readonly ExpectedEvent[],
): readonly { readonly was?: ExpectedEvent; readonly is?: ExpectedEvent }[] {
  const keyed = (events: readonly ExpectedEvent[]): Map<string, ExpectedEvent> => {
    const seen = new Map<string, number>();
    return new Map(
      events.map((event) => {
        const name = `${event.pcr} ${event.type} ${event.what}`;
        const nth = (seen.get(name) ?? 0) + 1;
        seen.set(name, nth);
        return [`${name} ${nth}`, event];
      }),
    );
  };
  const [old, fresh] = [keyed(before), keyed(after)];
  return [
    ...[...fresh].flatMap(([key, is]) => {
      const was = old.get(key);
      if (was?.digest === is.digest) return [];
      return [was === undefined ? { is } : { was, is }];
    }),
    ...[...old].flatMap(([key, was]) => (fresh.has(key) ? [] : [{ was }])),
  ];
}

function originOf(event: ExpectedEvent): string {
  const file = event.file === undefined ? '' : `, the file ${event.file}`;
  return event.package === undefined ? file : `${file === '' ? ',' : file} of the package ${event.package}`;
}

function sentence(text: string): readonly string[] {
  return text === '' ? [] : [text];
}

function indent([first = '', ...more]: readonly string[]): readonly string[] {
  return [first, ...more.map((text) => `  ${text}`)];
}

function shorten(sentences: readonly string[]): readonly string[] {
  if (sentences.length <= MAX_SENTENCES) return sentences;
  return [...sentences.slice(0, MAX_SENTENCES - 1), `and ${sentences.length - MAX_SENTENCES + 1} more`];
}
