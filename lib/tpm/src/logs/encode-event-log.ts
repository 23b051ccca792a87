// Writes a boot event log in the crypto-agile form: PC Client Platform Firmware Profile 1.06 section 10.4.5. It says what it is
// given, true or not; what a log says is for a judge.
import { Writer } from '@ringwall/bytes';
import { EV } from '../event-types.ts';
import { SPEC_ID_AGILE, type EventLogAlgorithm } from './spec-id.ts';

const SHA1_BYTES = 20;
/** TCG_EfiSpecIDEvent.uintnSize: a UINTN of 64 bits, in units of 32. */
const UINTN_64 = 2;

export type LogBank = Pick<EventLogAlgorithm, 'algorithmId' | 'digestBytes'>;

export interface LoggedEvent {
  readonly pcr: number;
  /** EV_…, 32 bits. */
  readonly type: number;
  /** One for each bank, in the order of the banks. */
  readonly digests: readonly Uint8Array[];
  readonly data: Uint8Array;
}

/** Its header and these events. Throws `RangeError` where an event has other digests than the banks. */
export function encodeEventLog(banks: readonly LogBank[], events: Iterable<LoggedEvent>): Uint8Array<ArrayBuffer> {
  const log = new Writer();
  // TCG_PCClientPCREvent, the form of TPM 1.2 times, so that a reader of those knows that it cannot read on.
  log.u32le(0).u32le(EV.NO_ACTION).bytes(new Uint8Array(SHA1_BYTES));
  log.sized32le((data) => {
    data.bytes(SPEC_ID_AGILE).u32le(0).u8(0).u8(2).u8(0).u8(UINTN_64).u32le(banks.length);
    for (const { algorithmId, digestBytes } of banks) data.u16le(algorithmId).u16le(digestBytes);
    data.u8(0);
  });
  for (const { pcr, type, digests, data } of events) {
    if (digests.length !== banks.length) throw new RangeError(`${digests.length} digests for ${banks.length} banks`);
    log.u32le(pcr).u32le(type).u32le(banks.length);
    for (const [at, { algorithmId, digestBytes }] of banks.entries()) {
      const digest = digests[at];
      if (digest?.length !== digestBytes)
        throw new RangeError(`a digest of ${digest?.length} bytes, not ${digestBytes}`);
      log.u16le(algorithmId).bytes(digest);
    }
    log.sized32le((sized) => sized.bytes(data));
  }
  return log.finish();
}
