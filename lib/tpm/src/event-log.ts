// The boot event log: TCG PC Client Platform Firmware Profile 1.06 section 10, crypto-agile, and the SHA-1 format of
// TPM 1.2 times. Little endian. Whoever ran before the operating system, and the host, may have written any byte: a
// log is worth something only where its replay agrees with a quote.

import { concatBytes, Cursor, equalBytes, ParseError } from '@ringwall/bytes';
import { PCR_COUNT, TPM_ALG } from './constants.ts';
import { EV_NO_ACTION, eventTypeName } from './event-types.ts';
import { digest, hashBytes, sha256, type ComputableHash } from './hash.ts';
import { parseNoAction, STARTUP_LOCALITY_SIGNATURE } from './logs/no-action.ts';
import { parseSpecId, SPEC_ID_AGILE, type BankName, type EventLogAlgorithm } from './logs/spec-id.ts';

/** Firmware reserves 64 KiB to 1 MiB; a log above this only costs memory. */
export const MAX_EVENT_LOG_BYTES: number = 16 * 1024 * 1024;
/** Real logs have 20 to 300 events; the bound is on the time of a replay. */
export const MAX_EVENTS = 16_384;
/** The largest real events are signature databases of some 100 KiB. */
export const MAX_EVENT_DATA_BYTES: number = 4 * 1024 * 1024;

const SHA1_BYTES = 20;
/** Of a TCG_PCClientPCREvent before its data. */
const SHA1_EVENT_HEADER_BYTES = 32;
/** PC Client Platform TPM Profile section 4.6: these PCRs start as all ones until a dynamic launch. */
const FIRST_DYNAMIC_PCR = 17;
const LAST_DYNAMIC_PCR = 22;

/** Windows notes its attestation key under this index, with EV_NO_ACTION; nothing else may have an index above 23. */
export const NO_PCR = 0xffff_ffff;

/** One TCG_PCR_EVENT or TCG_PCR_EVENT2. `index` counts from 0, the header event included. */
export interface LogEvent {
  readonly index: number;
  readonly pcr: number;
  readonly type: number;
  readonly typeName: string;
  readonly digests: ReadonlyMap<BankName, Uint8Array>;
  readonly data: Uint8Array;
  /** Of the event's first byte within the log, and of its data. */
  readonly offset: number;
  readonly dataOffset: number;
}

export interface EventLog {
  readonly format: 'crypto-agile' | 'sha1';
  readonly algorithms: readonly EventLogAlgorithm[];
  /** All events in order; in a crypto-agile log the first is its header (EV_NO_ACTION, "Spec ID Event03"). */
  readonly events: readonly LogEvent[];
  /** Behind the last event; 0 unless padding was allowed. */
  readonly paddingBytes: number;
}

export interface EventLogOptions {
  /**
   * Firmware hands over whole areas: behind the last event they are all zeros or all ones (CCEL and ACPI areas, some
   * `binary_bios_measurements`). Nothing is lost by refusing them unless somebody has such an area.
   */
  readonly padding?: 'refused' | 'allowed';
}

/**
 * Reads a whole log; throws `ParseError` on anything but the formats above: a digest of an algorithm that the header
 * does not declare, or twice in one event, a PCR above 23, bytes after the last event. An event that lacks a declared
 * digest is read, for firmware does write such; no bank that it lacks can be replayed.
 */
export function parseEventLog(bytes: Uint8Array, options: EventLogOptions = {}): EventLog {
  if (bytes.length > MAX_EVENT_LOG_BYTES) {
    throw new ParseError('limit', 'event log', 0, `has ${bytes.length} bytes, expected at most ${MAX_EVENT_LOG_BYTES}`);
  }
  const cursor = new Cursor(bytes);
  const first = readSha1Event(cursor, 0);
  const agile = first.type === EV_NO_ACTION && startsWith(first.data, SPEC_ID_AGILE);
  const algorithms = agile ? parseSpecId(first.data, SHA1_EVENT_HEADER_BYTES).algorithms : [SHA1_ALGORITHM];
  const events = [first];
  const end = options.padding === 'allowed' ? paddingStart(bytes) : bytes.length;
  while (cursor.offset < end) {
    const { length } = events;
    if (length === MAX_EVENTS) throw cursor.error('limit', 'events', `${length} and more, expected at most ${length}`);
    events.push(agile ? readAgileEvent(cursor, length, algorithms) : readSha1Event(cursor, length));
  }
  return { format: agile ? 'crypto-agile' : 'sha1', algorithms, events, paddingBytes: cursor.remaining };
}

/**
 * The values that all 24 PCRs of one bank must have if the log is complete: PCR := H(PCR ‖ digest) for each event but
 * EV_NO_ACTION. PCR 0 starts at the locality that a StartupLocality event names; 17 to 22 start as all ones, or as
 * zeros where the log extends them (a dynamic launch). Throws `ParseError` where the log has no such bank, or a
 * StartupLocality event that is malformed, comes twice or comes after PCR 0 was extended.
 */
export async function replayEventLog(log: EventLog, bank: ComputableHash): Promise<Map<number, Uint8Array>> {
  const registers = new Map<number, Uint8Array>();
  for (let pcr = 0; pcr < PCR_COUNT; pcr += 1) {
    const launched = log.events.some((event) => event.pcr === pcr && event.type !== EV_NO_ACTION);
    const ones = pcr >= FIRST_DYNAMIC_PCR && pcr <= LAST_DYNAMIC_PCR && !launched;
    registers.set(pcr, new Uint8Array(hashBytes(bank)).fill(ones ? 0xff : 0));
  }
  const start = registers.get(0);
  if (start !== undefined) start[start.length - 1] = startupLocality(log);
  return extendRegisters(registers, log, bank);
}

/** `registers` as the events of `log` extend them. Throws `ParseError` for a bank or a register that is not there. */
export async function extendRegisters(
  registers: ReadonlyMap<number, Uint8Array>,
  log: EventLog,
  bank: ComputableHash,
): Promise<Map<number, Uint8Array>> {
  if (!log.algorithms.some((algorithm) => algorithm.name === bank)) {
    const present = log.algorithms.map((algorithm) => algorithm.name).join(', ');
    throw new ParseError('unsupported', 'event log', 0, `has banks ${present}, expected ${bank}`);
  }
  const extended = new Map(registers);
  for (const event of log.events) {
    if (event.type === EV_NO_ACTION) continue;
    const before = extended.get(event.pcr);
    if (before === undefined) {
      throw new ParseError(
        'invalid',
        'register',
        event.offset,
        `${event.pcr} of event ${event.index}, expected another`,
      );
    }
    const measured = event.digests.get(bank);
    if (measured === undefined) {
      throw new ParseError('invalid', 'event', event.offset, `${event.index} has no ${bank} digest, expected one`);
    }
    // At once where it can be: a log has hundreds of events, and each wait is a turn of the event loop's queue.
    const both = concatBytes(before, measured);
    extended.set(event.pcr, bank === 'sha256' ? sha256(both) : await digest(bank, both));
  }
  return extended;
}

/** The locality of TPM2_Startup that the log names, 0 where it names none. */
export function startupLocality(log: EventLog): number {
  let found: number | undefined;
  let extended = false;
  for (const event of log.events) {
    if (event.pcr !== 0) continue;
    if (event.type !== EV_NO_ACTION) extended = true;
    else {
      if (!startsWith(event.data, STARTUP_LOCALITY_SIGNATURE)) continue;
      const note = parseNoAction(event.data, event.dataOffset);
      if (note?.kind !== 'startup-locality') continue;
      const fault = (detail: string): ParseError =>
        new ParseError('invalid', 'startupLocality', event.dataOffset, detail);
      if (found !== undefined) throw fault('given twice, expected once');
      if (extended) throw fault('after PCR 0 was extended, expected before');
      found = note.locality;
    }
  }
  return found ?? 0;
}

const SHA1_ALGORITHM: EventLogAlgorithm = { name: 'sha1', algorithmId: TPM_ALG.SHA1, digestBytes: SHA1_BYTES };

/** TCG_PCClientPCREvent, section 10.2.1: also the form of a crypto-agile log's first event. */
function readSha1Event(cursor: Cursor, index: number): LogEvent {
  const offset = cursor.offset;
  const { pcr, type } = readPcrAndType(cursor);
  const sha1 = cursor.take(SHA1_BYTES, 'digest');
  return named({ index, pcr, type, digests: new Map([['sha1', sha1]]), offset, ...readData(cursor) });
}

/** TCG_PCR_EVENT2, section 10.2.2. */
export function readAgileEvent(cursor: Cursor, index: number, algorithms: readonly EventLogAlgorithm[]): LogEvent {
  const offset = cursor.offset;
  const { pcr, type } = readPcrAndType(cursor);
  const count = cursor.u32le('digests.count');
  if (count < 1 || count > algorithms.length) {
    throw cursor.error('invalid', 'digests.count', `${count}, expected 1 to ${algorithms.length} as in the header`);
  }
  const digests = new Map<BankName, Uint8Array>();
  for (let read = 0; read < count; read += 1) {
    const hashAlg = cursor.u16le('hashAlg');
    const algorithm = algorithms.find((declared) => declared.algorithmId === hashAlg);
    if (algorithm === undefined) {
      throw cursor.error('invalid', 'hashAlg', `0x${hashAlg.toString(16)}, expected one that the header declares`);
    }
    if (digests.has(algorithm.name)) throw cursor.error('invalid', 'hashAlg', `${algorithm.name} twice, expected once`);
    digests.set(algorithm.name, cursor.take(algorithm.digestBytes, 'digest'));
  }
  return named({ index, pcr, type, digests, offset, ...readData(cursor) });
}

function named(fields: Omit<LogEvent, 'typeName'>): LogEvent {
  return { ...fields, typeName: eventTypeName(fields.type) };
}

function readPcrAndType(cursor: Cursor): { readonly pcr: number; readonly type: number } {
  const at = cursor.offset;
  const pcr = cursor.u32le('pcrIndex');
  const type = cursor.u32le('eventType');
  if (pcr >= PCR_COUNT && !(pcr === NO_PCR && type === EV_NO_ACTION)) {
    throw new ParseError('invalid', 'pcrIndex', at, `${pcr}, expected at most ${PCR_COUNT - 1}`);
  }
  return { pcr, type };
}

function readData(cursor: Cursor): { readonly data: Uint8Array; readonly dataOffset: number } {
  const eventSize = cursor.u32le('eventSize');
  if (eventSize > MAX_EVENT_DATA_BYTES) {
    throw cursor.error('limit', 'eventSize', `${eventSize}, expected at most ${MAX_EVENT_DATA_BYTES}`);
  }
  const dataOffset = cursor.offset;
  return { data: cursor.take(eventSize, 'event'), dataOffset };
}

/** Where the run of equal bytes 0x00 or 0xff that ends `bytes` begins. */
function paddingStart(bytes: Uint8Array): number {
  const last = bytes.at(-1);
  let start = bytes.length;
  if (last !== 0x00 && last !== 0xff) return start;
  while (start > 0 && bytes[start - 1] === last) start -= 1;
  return start;
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, prefix.length), prefix);
}
