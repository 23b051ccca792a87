// Boot event logs for tests: crypto-agile ones built event by event, true or with the faults that a test wants.

import { createHash } from 'node:crypto';
import { concatBytes, utf8, Writer } from '@ringwall/bytes';
import { parseEventLog, type EventLog } from '../src/event-log.ts';

export const SHA256 = 0x000b;
export const SHA384 = 0x000c;
const EV_NO_ACTION = 3;

export interface TestEvent {
  readonly pcr: number;
  readonly type: number;
  readonly data?: Uint8Array;
  /** That of the data where absent. */
  readonly digest?: Uint8Array;
}

export function agileHeader(algorithm: number = SHA256, pcr: number = 0): Uint8Array {
  const bytes = algorithm === SHA384 ? 48 : 32;
  return new Writer()
    .u32le(pcr)
    .u32le(EV_NO_ACTION)
    .bytes(new Uint8Array(20))
    .sized32le((data) =>
      data
        .bytes(utf8('Spec ID Event03\0'))
        .u32le(0)
        .bytes(Uint8Array.of(0, 2, 0, 2))
        .u32le(1)
        .u16le(algorithm)
        .u16le(bytes)
        .u8(0),
    )
    .finish();
}

export function agileEvent(event: TestEvent, algorithm: number = SHA256): Uint8Array {
  const data = event.data ?? new Uint8Array(0);
  const name = algorithm === SHA384 ? 'sha384' : 'sha256';
  const digest = event.digest ?? new Uint8Array(createHash(name).update(data).digest());
  return new Writer()
    .u32le(event.pcr)
    .u32le(event.type)
    .u32le(1)
    .u16le(algorithm)
    .bytes(digest)
    .sized32le((sized) => sized.bytes(data))
    .finish();
}

export function agileLog(...events: readonly TestEvent[]): Uint8Array {
  return concatBytes(agileHeader(), ...events.map((event) => agileEvent(event)));
}

export function parsedLog(...events: readonly TestEvent[]): EventLog {
  return parseEventLog(agileLog(...events));
}
