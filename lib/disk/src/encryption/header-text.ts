// Text in fixed fields of a header: ASCII, ended by a zero where it is shorter than its field.
import { ParseError } from '@ringwall/bytes';

export function asciiOf(bytes: Uint8Array, field: string, offset: number): string {
  const end = bytes.indexOf(0);
  const text = end === -1 ? bytes : bytes.subarray(0, end);
  const odd = text.findIndex((byte) => byte < 0x20 || byte > 0x7e);
  if (odd !== -1) {
    throw new ParseError('invalid', field, offset + odd, `holds byte ${text[odd]}, expected printable ASCII`);
  }
  return String.fromCharCode(...text);
}
