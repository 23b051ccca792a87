// Hexadecimal in one spelling only, RFC 4648 section 8 in lower case: two texts that differ are two byte strings.

import { ParseError } from './parse-error.ts';

const PAIRS: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index < bytes.length; index += 1) text += PAIRS[bytes[index] ?? 0] ?? '';
  return text;
}

/** Refuses upper case, spaces, prefixes and odd lengths. `field` names the text in the `ParseError`. */
export function fromHex(text: string, field = 'hex'): Uint8Array<ArrayBuffer> {
  if (text.length % 2 !== 0) {
    throw new ParseError('invalid', field, text.length, `has ${text.length} digits, expected an even number`);
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index += 1) {
    bytes[index] = (digit(text, index * 2, field) << 4) | digit(text, index * 2 + 1, field);
  }
  return bytes;
}

function digit(text: string, at: number, field: string): number {
  const code = text.charCodeAt(at);
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  throw new ParseError('invalid', field, at, `has character code ${code}, expected 0-9 or a-f`);
}
