// The 16 bytes of a UUID as text, in the two orders that disks hold them (RFC 9562, section 4).
import { toHex } from '@ringwall/bytes';

/** As they are read: of Linux file systems, VHD, Apple. */
export function uuidText(bytes: Uint8Array): string {
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** The first three parts little-endian: of Microsoft's structures, and of the GPT (UEFI specification, appendix A). */
export function guidText(bytes: Uint8Array): string {
  const part = (start: number, end: number): string => toHex(bytes.subarray(start, end).toReversed());
  return [part(0, 4), part(4, 6), part(6, 8), toHex(bytes.subarray(8, 10)), toHex(bytes.subarray(10, 16))].join('-');
}
