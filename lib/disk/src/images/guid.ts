// GUIDs as Microsoft's structures hold them: the first three parts little-endian, the rest as it is.
import { toHex } from '@ringwall/bytes';

/** The usual text of the 16 bytes of a GUID. */
export function guidText(bytes: Uint8Array): string {
  const part = (start: number, end: number): string => toHex(bytes.subarray(start, end).toReversed());
  return [part(0, 4), part(4, 6), part(6, 8), toHex(bytes.subarray(8, 10)), toHex(bytes.subarray(10, 16))].join('-');
}
