// A directory record of ISO 9660 (ECMA-119, section 9.1): one extent of a file, its name, and behind it what extensions keep there.
import { ParseError } from '@ringwall/bytes';

const HEADER_BYTES = 33;

export const FLAG = { directory: 0x02, associated: 0x04, multiExtent: 0x80 } as const;

export interface DirectoryRecord {
  readonly position: number;
  /** Bytes of the record. */
  readonly length: number;
  /** The first block, with that of its extended attribute record passed over. */
  readonly block: number;
  readonly size: number;
  readonly modifiedAt: number;
  readonly flags: number;
  readonly rawName: Uint8Array;
  /** System Use: where Rock Ridge keeps what it adds. */
  readonly systemUse: Uint8Array;
}

/** `bytes` begin with the record, which lies at `position`; it ends where its length says, within `bytes`. */
export function parseDirectoryRecord(bytes: Uint8Array, position: number): DirectoryRecord {
  const length = bytes[0] ?? 0;
  if (length <= HEADER_BYTES || length > bytes.length) {
    throw new ParseError('invalid', 'Length of Directory Record', position, `${length}, expected 34..${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const nameBytes = view.getUint8(32);
  const nameEnd = HEADER_BYTES + nameBytes;
  if (nameBytes === 0 || nameEnd > length) {
    throw new ParseError(
      'invalid',
      'Length of File Identifier',
      position + 32,
      `${nameBytes}, in a record of ${length} bytes`,
    );
  }
  if (view.getUint8(26) !== 0 || view.getUint8(27) !== 0) {
    throw new ParseError(
      'unsupported',
      'Interleave Gap Size',
      position + 26,
      'the file is interleaved, which is not read',
    );
  }
  return {
    position,
    length,
    block: view.getUint32(2, true) + view.getUint8(1),
    size: view.getUint32(10, true),
    modifiedAt: parseShortDate(bytes.subarray(18, 25)),
    flags: view.getUint8(25),
    rawName: bytes.subarray(HEADER_BYTES, nameEnd),
    // The name is filled up to an even number.
    systemUse: bytes.subarray(Math.min(nameEnd + ((nameBytes + 1) % 2), length), length),
  };
}

/** Seven bytes (section 9.1.5): years since 1900, then to seconds, and quarters of an hour from UTC. */
export function parseShortDate(bytes: Uint8Array): number {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zone = 0] = bytes;
  if (month === 0) return 0;
  return Date.UTC(1900 + year, month - 1, day, hour, minute, second) - ((zone << 24) >> 24) * 15 * 60_000;
}
