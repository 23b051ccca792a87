// The event log of a confidential guest: the ACPI table CCEL (ACPI 6.5 section 5.2.34) that says where it lies, and its
// replay into the runtime measurement registers of TDX. UEFI 2.10 section 38.4.1 gives the registers: the index of an
// event is 0 for MRTD, 1 to 4 for RTMR[0] to RTMR[3]; PCRs 1 and 7 went to RTMR[0], 2 to 6 to RTMR[1], 8 to 15 to RTMR[2].

import { Cursor, ParseError } from '@ringwall/bytes';
import { extendRegisters, parseEventLog, type EventLog, type EventLogOptions } from '../event-log.ts';
import { EV_NO_ACTION } from '../event-types.ts';

/** TDX: RTMR[0] to RTMR[3], which only SHA-384 extends. */
const RTMR_COUNT = 4;
const RTMR_BYTES = 48;
const ACPI_TABLE_BYTES = 56;
const SIGNATURE_LENGTH = 4;
const SKIPPED_HEADER_BYTES = 36 - 8;
/** MRTD is final when the first event is logged. */
const MRTD_INDEX = 0;

export interface CcelTable {
  readonly technology: 'sev' | 'tdx' | 'unknown';
  readonly areaBytes: bigint;
  readonly areaAddress: bigint;
}

/** The ACPI table, 56 bytes with a checksum; throws `ParseError`. */
export function parseCcelTable(bytes: Uint8Array): CcelTable {
  const cursor = new Cursor(bytes);
  const signature = new TextDecoder('latin1').decode(cursor.take(SIGNATURE_LENGTH, 'signature'));
  if (signature !== 'CCEL') throw cursor.error('invalid', 'signature', `${JSON.stringify(signature)}, expected CCEL`);
  const length = cursor.u32le('length');
  if (length !== ACPI_TABLE_BYTES) throw cursor.error('invalid', 'length', `${length}, expected ${ACPI_TABLE_BYTES}`);
  cursor.skip(SKIPPED_HEADER_BYTES, 'header');
  const type = cursor.u8('ccType');
  cursor.skip(3, 'ccSubType');
  const areaBytes = cursor.u64le('laml');
  const areaAddress = cursor.u64le('lasa');
  cursor.end('CCEL');
  if (bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0) !== 0) {
    throw new ParseError('invalid', 'checksum', 0, 'is not right, expected that all bytes add up to 0');
  }
  return { technology: type === 1 ? 'sev' : type === 2 ? 'tdx' : 'unknown', areaBytes, areaAddress };
}

/** The log in the area that the table names; most often with padding behind. `pcr` of its events is a register's index. */
export function parseCcel(bytes: Uint8Array, options: EventLogOptions = {}): EventLog {
  const log = parseEventLog(bytes, options);
  for (const event of log.events) {
    if (event.pcr > RTMR_COUNT || (event.pcr === MRTD_INDEX && event.type !== EV_NO_ACTION)) {
      const detail = `${event.pcr} of event ${event.index}, expected 1 to ${RTMR_COUNT}`;
      throw new ParseError('invalid', 'mrIndex', event.offset, detail);
    }
  }
  return log;
}

/** RTMR[0] to RTMR[3] as the log leads to them, in this order; they mean something only beside a TDX quote. */
export async function replayCcel(log: EventLog): Promise<readonly Uint8Array[]> {
  const indices = Array.from({ length: RTMR_COUNT }, (_, rtmr) => rtmr + 1);
  const start = new Map(indices.map((index) => [index, new Uint8Array(RTMR_BYTES)]));
  const replayed = await extendRegisters(start, log, 'sha384');
  return indices.map((index) => replayed.get(index) ?? new Uint8Array(RTMR_BYTES));
}

/** The index in a CCEL of what a TPM would have in this PCR; undefined for PCRs that no register stands for. */
export function ccelIndexOfPcr(pcr: number): number | undefined {
  if (pcr === 0) return MRTD_INDEX;
  if (pcr === 1 || pcr === 7) return 1;
  if (pcr >= 2 && pcr <= 6) return 2;
  return pcr >= 8 && pcr <= 15 ? 3 : undefined;
}
