// The checksum of every structure of XFS version 5: CRC-32C over the whole of it with the field itself as zeros, stored
// little-endian.
import { CRC_START, crc32c } from '../../checksum/crc.ts';

const NOTHING = new Uint8Array(4);

export function checksumHolds(bytes: Uint8Array, at: number): boolean {
  const head = crc32c(crc32c(CRC_START, bytes, 0, at), NOTHING);
  const expected = (crc32c(head, bytes, at + 4) ^ CRC_START) >>> 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(at, true) === expected;
}
