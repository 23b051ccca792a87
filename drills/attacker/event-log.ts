// An event log as whoever relays it can have it: taken apart, changed event by event and put together again. Types, data
// and order are anybody's to write; only the digests, by their replay, are held by the quote.
import { Writer } from '@ringwall/bytes';
import { parseEventLog, TPM_ALG } from '@ringwall/tpm';

export interface WrittenEvent {
  readonly pcr: number;
  readonly type: number;
  readonly digest: Uint8Array;
  readonly data: Uint8Array;
}

/** The events of a log behind its header. */
export function eventsOf(log: Uint8Array): readonly WrittenEvent[] {
  return parseEventLog(log)
    .events.slice(1)
    .map(({ pcr, type, digests, data }) => ({ pcr, type, data, digest: digests.get('sha256') ?? new Uint8Array() }));
}

/** TCG_PCR_EVENT2 each, behind the header of `log`, which has SHA-256 alone. */
export function writeLog(log: Uint8Array, events: readonly WrittenEvent[]): Uint8Array {
  const header = parseEventLog(log).events[1]?.offset ?? log.length;
  const writer = new Writer().bytes(log.subarray(0, header));
  for (const { pcr, type, digest, data } of events) {
    writer.u32le(pcr).u32le(type).u32le(1).u16le(TPM_ALG.SHA256).bytes(digest);
    writer.sized32le((inner) => inner.bytes(data));
  }
  return writer.finish();
}

/** `log` with each event as `change` gives it. */
export function rewriteLog(log: Uint8Array, change: (event: WrittenEvent) => WrittenEvent): Uint8Array {
  return writeLog(log, eventsOf(log).map(change));
}
