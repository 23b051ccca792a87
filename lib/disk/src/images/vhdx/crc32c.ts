// CRC-32C (Castagnoli), reflected, as RFC 3720 appendix B.4 defines it.

const POLYNOMIAL = 0x82f63b78;

const TABLE: Int32Array = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value & 1) === 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

/** The checksum of `bytes`, where the four bytes of the checksum itself at `checksumOffset` count as zeros. */
export function crc32c(bytes: Uint8Array, checksumOffset: number = bytes.length): number {
  let value = -1;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = index >= checksumOffset && index < checksumOffset + 4 ? 0 : (bytes[index] ?? 0);
    value = (value >>> 8) ^ (TABLE[(value ^ byte) & 0xff] ?? 0);
  }
  return ~value >>> 0;
}
