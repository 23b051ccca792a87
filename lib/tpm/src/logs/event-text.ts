// Text and GUIDs as events carry them. Firmware, boot loaders and whoever owned the machine wrote them: what cannot be
// printed becomes U+FFFD, so that no tool that shows a log moves the cursor of a terminal.

import type { Cursor } from '@ringwall/bytes';

/** The longest text that a real log has is a menu entry of GRUB, some 3 KiB; longer data is not looked at as text. */
export const MAX_TEXT_BYTES: number = 64 * 1024;

/** Control characters of both sets, surrogates without a partner, and marks that turn the direction of writing. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** An EFI_GUID, UEFI 2.10 appendix A: three fields little endian, then eight bytes. */
export function readGuid(cursor: Cursor, field: string): string {
  return renderGuid(cursor.take(16, field));
}

export function renderGuid(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'));
  const part = (...indices: readonly number[]): string => indices.map((index) => hex[index] ?? '00').join('');
  const first = `${part(3, 2, 1, 0)}-${part(5, 4)}-${part(7, 6)}`;
  return `${first}-${part(8, 9)}-${part(10, 11, 12, 13, 14, 15)}`;
}

/** Printable ASCII, one NUL at its end or none; undefined where `bytes` are anything else. */
export function asciiText(bytes: Uint8Array): string | undefined {
  const text = bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes;
  if (text.length === 0 || text.length > MAX_TEXT_BYTES || hasControls(text) || text.some((byte) => byte > 0x7e))
    return undefined;
  return new TextDecoder().decode(text);
}

/** UTF-8 without control characters but tab and line feed, one NUL at its end or none; else undefined. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  const body = bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes;
  // Most data that is no text ends here, and not in an exception.
  if (body.length === 0 || body.length > MAX_TEXT_BYTES || hasControls(body)) return undefined;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    return text.replaceAll(/[\t\n]/g, '').search(UNPRINTABLE) < 0 ? text : undefined;
  } catch {
    return undefined;
  }
}

function hasControls(bytes: Uint8Array): boolean {
  for (const byte of bytes) {
    if (byte === 0x7f || (byte < 0x20 && byte !== 0x09 && byte !== 0x0a)) return true;
  }
  return false;
}

/** UTF-16 that ends in NUL, all of it printable; undefined where `bytes` are anything else. */
export function utf16Text(bytes: Uint8Array): string | undefined {
  if (
    bytes.length < 4 ||
    bytes.length > MAX_TEXT_BYTES ||
    bytes.length % 2 !== 0 ||
    bytes.at(-1) !== 0 ||
    bytes.at(-2) !== 0
  )
    return undefined;
  const text = decodeUtf16(bytes.subarray(0, -2));
  return /^[\P{C}\t\n]+$/u.test(text) ? text : undefined;
}

/** UTF-16 up to its first NUL or the end of `bytes`, fit to be shown. */
export function shownUtf16(bytes: Uint8Array): string {
  const text = decodeUtf16(bytes);
  const end = text.indexOf('\0');
  return shown(end < 0 ? text : text.slice(0, end));
}

export function shown(text: string): string {
  return text.replaceAll(UNPRINTABLE, '\ufffd');
}

/** A byte order mark is a character like others: a name behind one is another name. */
export function decodeUtf16(bytes: Uint8Array): string {
  return new TextDecoder('utf-16le', { ignoreBOM: true }).decode(bytes);
}

/** A UINT64 length or count, which must be a number of things at hand before anything is done with it. */
export function readLength(cursor: Cursor, field: string, unitBytes = 1): number {
  const length = cursor.u64le(field);
  const most = Math.floor(cursor.remaining / unitBytes);
  if (length > BigInt(most)) throw cursor.error('truncated', field, `${length}, expected at most ${most}`);
  return Number(length);
}
