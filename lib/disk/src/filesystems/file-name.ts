// Names as they lie on disk, to strings and none lost: what is no UTF-8 becomes U+DC80 to U+DCFF, one for each byte, as
// Python's "surrogateescape" (PEP 383) has it.
import { ParseError, utf8 } from '@ringwall/bytes';

const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The name in `bytes`. */
export function decodeFileName(bytes: Uint8Array): string {
  try {
    return STRICT.decode(bytes);
  } catch {
    return decodeLoosely(bytes);
  }
}

/** The bytes of a name: what `decodeFileName` read, exactly. */
export function encodeFileName(name: string): Uint8Array<ArrayBuffer> {
  if (name.isWellFormed()) return utf8(name);
  const bytes: number[] = [];
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else bytes.push(...utf8(character));
  }
  return Uint8Array.from(bytes);
}

/**
 * Refuses what no entry of a directory may be called: an archive or a path made of it would lead elsewhere. `offset` is where
 * the name lies.
 */
export function checkFileName(name: string, field: string, offset: number): string {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw new ParseError('invalid', field, offset, `${JSON.stringify(name)}, expected a name without '/' and NUL`);
  }
  return name;
}

function decodeLoosely(bytes: Uint8Array): string {
  let name = '';
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes[at] ?? 0);
    try {
      name += STRICT.decode(bytes.subarray(at, at + length));
      at += length;
    } catch {
      name += String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
      at += 1;
    }
  }
  return name;
}

/** How long a character is that begins with `first` (RFC 3629, section 3). */
function sequenceLength(first: number): number {
  if (first >= 0xf0) return 4;
  if (first >= 0xe0) return 3;
  return first >= 0xc0 ? 2 : 1;
}
