// EFI_TCG2_FINAL_EVENTS_TABLE, TCG EFI Protocol Specification family 2.0 section 7: the events that firmware logged after
// the boot loader first asked for the log, among them ExitBootServices. Linux appends them to `binary_bios_measurements`;
// who reads the log from memory must do it himself.

import { Cursor, equalBytes, ParseError } from '@ringwall/bytes';
import { MAX_EVENTS, readAgileEvent, type EventLog, type EventLogOptions, type LogEvent } from '../event-log.ts';

/** Firmware reserves 64 KiB; what comes after the first reading of the log is a handful of events. */
export const MAX_FINAL_EVENTS_BYTES: number = 1024 * 1024;
/** EFI_TCG2_FINAL_EVENTS_TABLE_VERSION. */
const TABLE_VERSION = 1n;

export interface FinalEvents {
  readonly events: readonly LogEvent[];
  readonly paddingBytes: number;
}

/** The table that belongs to `log`, whose header says which digests the events carry. Throws `ParseError`. */
export function parseFinalEvents(bytes: Uint8Array, log: EventLog, options: EventLogOptions = {}): FinalEvents {
  if (bytes.length > MAX_FINAL_EVENTS_BYTES) {
    throw new ParseError('limit', 'final events', 0, `have ${bytes.length} bytes, expected ${MAX_FINAL_EVENTS_BYTES}`);
  }
  if (log.format !== 'crypto-agile') {
    throw new ParseError('unsupported', 'final events', 0, 'beside a SHA-1 log, expected a crypto-agile one');
  }
  const cursor = new Cursor(bytes);
  const version = cursor.u64le('Version');
  if (version !== TABLE_VERSION) throw cursor.error('unsupported', 'Version', `${version}, expected ${TABLE_VERSION}`);
  const count = cursor.u64le('NumberOfEvents');
  if (count > BigInt(MAX_EVENTS)) throw cursor.error('limit', 'NumberOfEvents', `${count}, expected ${MAX_EVENTS}`);
  const events: LogEvent[] = [];
  while (events.length < Number(count)) events.push(readAgileEvent(cursor, events.length, log.algorithms));
  const paddingBytes = cursor.remaining;
  const rest = cursor.rest('padding');
  if (paddingBytes > 0 && (options.padding !== 'allowed' || rest.some((byte) => byte !== rest[0]))) {
    throw cursor.error('trailing', 'final events', `have ${paddingBytes} bytes after their end, expected 0`);
  }
  return { events, paddingBytes };
}

/**
 * `log` with the final events behind it. Events that stand in both are those that were logged between the first reading
 * of the log and the copy at hand: the longest end of the log that is a beginning of the table is taken once. That is
 * a guess where equal events follow each other, and the replay against the quote decides it. `offset` of an event that
 * came from the table is its place there.
 */
export function mergeFinalEvents(log: EventLog, final: FinalEvents): EventLog {
  const added = final.events.slice(overlap(log.events, final.events));
  const events = [...log.events, ...added].map((event, index) => ({ ...event, index }));
  if (events.length > MAX_EVENTS) {
    throw new ParseError('limit', 'events', 0, `${events.length}, expected at most ${MAX_EVENTS}`);
  }
  return { ...log, events };
}

/** Length of the longest end of `log` that is a beginning of `table`; Knuth, Morris and Pratt, for both are long. */
function overlap(log: readonly LogEvent[], table: readonly LogEvent[]): number {
  const fallback: number[] = [];
  const grow = (matched: number, event: LogEvent): number => {
    let length = matched;
    while (length > 0 && !isSame(table[length], event)) length = fallback[length - 1] ?? 0;
    return isSame(table[length], event) ? length + 1 : length;
  };
  let matched = 0;
  for (const [index, event] of table.entries()) {
    matched = index === 0 ? 0 : grow(matched, event);
    fallback.push(matched);
  }
  matched = 0;
  for (const event of log.slice(-table.length)) matched = grow(matched, event);
  return matched;
}

function isSame(left: LogEvent | undefined, right: LogEvent): boolean {
  return (
    left !== undefined &&
    left.pcr === right.pcr &&
    left.type === right.type &&
    equalBytes(left.data, right.data) &&
    left.digests.size === right.digests.size &&
    [...left.digests].every(([bank, value]) => equalBytes(value, right.digests.get(bank) ?? new Uint8Array(0)))
  );
}
