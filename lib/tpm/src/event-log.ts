// The boot event log: TCG PC Client Platform Firmware Profile 1.06 section 10, crypto-agile, and the SHA-1 format of
// TPM 1.2 times. Little endian. Whoever ran before the operating system, and the host, may have written any byte: a
// log is worth something only where its replay agrees with a quote.

import { concatBytes, Cursor, equalBytes, ParseError, utf8 } from '@ringwall/bytes';
import { PCR_COUNT, TPM_ALG } from './constants.ts';
import { EV_NO_ACTION, eventTypeName } from './event-types.ts';
import { digest, hashAlgorithm, hashBytes, type ComputableHash, type HashName } from './hash.ts';

/** Firmware reserves 64 KiB to 1 MiB; a log above this only costs memory. */
export const MAX_EVENT_LOG_BYTES: number = 16 * 1024 * 1024;
/** Real logs have 20 to 300 events; the bound is on the time of a replay. */
export const MAX_EVENTS = 65_536;
/** The largest real events are signature databases of some 100 KiB. */
export const MAX_EVENT_DATA_BYTES: number = 4 * 1024 * 1024;
/** TPMs have at most five banks; HASH_COUNT of the specification's own headers is 16. */
export const MAX_LOG_ALGORITHMS = 16;

const SHA1_BYTES = 20;
/** Section 10.4.5.1: how the first event of a crypto-agile log begins. */
const SPEC_ID_SIGNATURE = utf8('Spec ID Event03\0');
/** Section 10.4.5.3: where PCR 0 starts. */
const STARTUP_LOCALITY_SIGNATURE = utf8('StartupLocality\0');
/** Section 10.4.5.3: locality 0, 3, or 4 after an H-CRTM sequence. */
const STARTUP_LOCALITIES: ReadonlySet<number> = new Set([0, 3, 4]);
/** PC Client Platform TPM Profile section 4.6: these PCRs start as all ones until a dynamic launch. */
const FIRST_DYNAMIC_PCR = 17;
const LAST_DYNAMIC_PCR = 22;

export interface EventLogAlgorithm {
  readonly name: HashName;
  readonly algorithmId: number;
  readonly digestBytes: number;
}

/** One TCG_PCR_EVENT or TCG_PCR_EVENT2. `index` counts from 0, the header event included. */
export interface LogEvent {
  readonly index: number;
  readonly pcr: number;
  readonly type: number;
  readonly typeName: string;
  readonly digests: ReadonlyMap<HashName, Uint8Array>;
  readonly data: Uint8Array;
  /** Of the event's first byte within the log. */
  readonly offset: number;
}

export interface EventLog {
  readonly format: 'crypto-agile' | 'sha1';
  readonly algorithms: readonly EventLogAlgorithm[];
  /** All events in order; in a crypto-agile log the first is its header (EV_NO_ACTION, "Spec ID Event03"). */
  readonly events: readonly LogEvent[];
}

/**
 * Reads a whole log; throws `ParseError` on anything but the formats above: a digest of an algorithm that the header
 * does not declare, an algorithm missing or twice in one event, a PCR above 23, bytes after the last event.
 */
export function parseEventLog(bytes: Uint8Array): EventLog {
  if (bytes.length > MAX_EVENT_LOG_BYTES) {
    throw new ParseError('limit', 'event log', 0, `has ${bytes.length} bytes, expected at most ${MAX_EVENT_LOG_BYTES}`);
  }
  const cursor = new Cursor(bytes);
  const first = readSha1Event(cursor, 0);
  const agile = first.type === EV_NO_ACTION && startsWith(first.data, SPEC_ID_SIGNATURE);
  const algorithms = agile ? parseSpecId(first) : [SHA1_ALGORITHM];
  const events = [first];
  while (cursor.remaining > 0) {
    if (events.length === MAX_EVENTS) throw cursor.error('limit', 'events', `${MAX_EVENTS} and more, expected at most`);
    events.push(agile ? readAgileEvent(cursor, events.length, algorithms) : readSha1Event(cursor, events.length));
  }
  return { format: agile ? 'crypto-agile' : 'sha1', algorithms, events };
}

/**
 * The values that all 24 PCRs of one bank must have if the log is complete: PCR := H(PCR ‖ digest) for each event but
 * EV_NO_ACTION. PCR 0 starts at the locality that a StartupLocality event names; 17 to 22 start as all ones, or as
 * zeros where the log extends them (a dynamic launch). Throws `ParseError` where the log has no such bank, or a
 * StartupLocality event that is malformed, comes twice or comes after PCR 0 was extended.
 */
export async function replayEventLog(log: EventLog, bank: ComputableHash): Promise<Map<number, Uint8Array>> {
  if (!log.algorithms.some((algorithm) => algorithm.name === bank)) {
    const present = log.algorithms.map((algorithm) => algorithm.name).join(', ');
    throw new ParseError('unsupported', 'event log', 0, `has banks ${present}, expected ${bank}`);
  }
  const extending = log.events.filter((event) => event.type !== EV_NO_ACTION);
  const pcrs = new Map<number, Uint8Array>();
  for (let pcr = 0; pcr < PCR_COUNT; pcr += 1) {
    const launched = extending.some((event) => event.pcr === pcr);
    const ones = pcr >= FIRST_DYNAMIC_PCR && pcr <= LAST_DYNAMIC_PCR && !launched;
    pcrs.set(pcr, new Uint8Array(hashBytes(bank)).fill(ones ? 0xff : 0));
  }
  const start = pcrs.get(0);
  if (start !== undefined) start[start.length - 1] = startupLocality(log);
  for (const event of extending) {
    const before = pcrs.get(event.pcr);
    const measured = event.digests.get(bank);
    if (before === undefined || measured === undefined) {
      throw new ParseError('invalid', 'event', event.offset, `${event.index} has no ${bank} digest, expected one`);
    }
    pcrs.set(event.pcr, await digest(bank, concatBytes(before, measured)));
  }
  return pcrs;
}

/** The locality of TPM2_Startup that the log names, 0 where it names none. */
export function startupLocality(log: EventLog): number {
  let found: number | undefined;
  let extended = false;
  for (const event of log.events) {
    if (event.pcr !== 0) continue;
    if (event.type !== EV_NO_ACTION) extended = true;
    else if (startsWith(event.data, STARTUP_LOCALITY_SIGNATURE)) {
      const cursor = new Cursor(event.data, event.offset);
      cursor.skip(STARTUP_LOCALITY_SIGNATURE.length, 'signature');
      const locality = cursor.u8('startupLocality');
      if (!STARTUP_LOCALITIES.has(locality)) {
        throw cursor.error('invalid', 'startupLocality', `${locality}, expected 0, 3 or 4`);
      }
      cursor.end('TCG_EfiStartupLocalityEvent');
      if (found !== undefined) throw cursor.error('invalid', 'startupLocality', 'given twice, expected once');
      if (extended) throw cursor.error('invalid', 'startupLocality', 'after PCR 0 was extended, expected before');
      found = locality;
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
  return named({ index, pcr, type, digests: new Map([['sha1', sha1]]), data: readData(cursor), offset });
}

/** TCG_PCR_EVENT2, section 10.2.2. */
function readAgileEvent(cursor: Cursor, index: number, algorithms: readonly EventLogAlgorithm[]): LogEvent {
  const offset = cursor.offset;
  const { pcr, type } = readPcrAndType(cursor);
  const count = cursor.u32le('digests.count');
  if (count !== algorithms.length) {
    throw cursor.error('invalid', 'digests.count', `${count}, expected ${algorithms.length} as in the header`);
  }
  const digests = new Map<HashName, Uint8Array>();
  for (let read = 0; read < count; read += 1) {
    const hashAlg = cursor.u16le('hashAlg');
    const algorithm = algorithms.find((declared) => declared.algorithmId === hashAlg);
    if (algorithm === undefined) {
      throw cursor.error('invalid', 'hashAlg', `0x${hashAlg.toString(16)}, expected one that the header declares`);
    }
    if (digests.has(algorithm.name)) throw cursor.error('invalid', 'hashAlg', `${algorithm.name} twice, expected once`);
    digests.set(algorithm.name, cursor.take(algorithm.digestBytes, 'digest'));
  }
  return named({ index, pcr, type, digests, data: readData(cursor), offset });
}

function named(fields: Omit<LogEvent, 'typeName'>): LogEvent {
  return { ...fields, typeName: eventTypeName(fields.type) };
}

function readPcrAndType(cursor: Cursor): { readonly pcr: number; readonly type: number } {
  const pcr = cursor.u32le('pcrIndex');
  if (pcr >= PCR_COUNT) throw cursor.error('invalid', 'pcrIndex', `${pcr}, expected at most ${PCR_COUNT - 1}`);
  return { pcr, type: cursor.u32le('eventType') };
}

function readData(cursor: Cursor): Uint8Array {
  const eventSize = cursor.u32le('eventSize');
  if (eventSize > MAX_EVENT_DATA_BYTES) {
    throw cursor.error('limit', 'eventSize', `${eventSize}, expected at most ${MAX_EVENT_DATA_BYTES}`);
  }
  return cursor.take(eventSize, 'event');
}

/** TCG_EfiSpecIDEvent, section 10.4.5.1: which digests each event carries. */
function parseSpecId(header: LogEvent): readonly EventLogAlgorithm[] {
  // 32 bytes of TCG_PCClientPCREvent stand before the data of the first event.
  const cursor = new Cursor(header.data, header.offset + 32);
  cursor.skip(SPEC_ID_SIGNATURE.length, 'signature');
  cursor.skip(4, 'platformClass');
  const specVersionMinor = cursor.u8('specVersionMinor');
  const specVersionMajor = cursor.u8('specVersionMajor');
  if (specVersionMajor !== 2) {
    throw cursor.error('unsupported', 'specVersion', `${specVersionMajor}.${specVersionMinor}, expected 2`);
  }
  cursor.skip(1, 'specErrata');
  const uintnSize = cursor.u8('uintnSize');
  if (uintnSize !== 1 && uintnSize !== 2) throw cursor.error('invalid', 'uintnSize', `${uintnSize}, expected 1 or 2`);
  const numberOfAlgorithms = cursor.u32le('numberOfAlgorithms');
  if (numberOfAlgorithms < 1 || numberOfAlgorithms > MAX_LOG_ALGORITHMS) {
    const expected = `expected 1 to ${MAX_LOG_ALGORITHMS}`;
    throw cursor.error('limit', 'numberOfAlgorithms', `${numberOfAlgorithms}, ${expected}`);
  }
  const algorithms: EventLogAlgorithm[] = [];
  for (let read = 0; read < numberOfAlgorithms; read += 1) algorithms.push(readAlgorithm(cursor, algorithms));
  cursor.skip(cursor.u8('vendorInfoSize'), 'vendorInfo');
  cursor.end('TCG_EfiSpecIDEvent');
  return algorithms;
}

function readAlgorithm(cursor: Cursor, before: readonly EventLogAlgorithm[]): EventLogAlgorithm {
  const algorithmId = cursor.u16le('algorithmId');
  const known = hashAlgorithm(algorithmId);
  if (known === undefined) {
    throw cursor.error('unsupported', 'algorithmId', `0x${algorithmId.toString(16)}, expected a hash algorithm`);
  }
  if (before.some((other) => other.algorithmId === algorithmId)) {
    throw cursor.error('invalid', 'algorithmId', `${known.name} twice, expected once`);
  }
  const digestBytes = cursor.u16le('digestSize');
  if (digestBytes !== known.bytes) {
    throw cursor.error('invalid', 'digestSize', `${digestBytes}, expected ${known.bytes} for ${known.name}`);
  }
  return { name: known.name, algorithmId, digestBytes };
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, prefix.length), prefix);
}
