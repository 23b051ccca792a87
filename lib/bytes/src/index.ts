// The public names of @ringwall/bytes.

export { BoundedMap } from './bounded-map.ts';
export { concatBytes, equalBytes, unshared, utf8 } from './byte-strings.ts';
export { Cursor } from './cursor.ts';
export { fromHex, toHex } from './hex.ts';
export { KnownBytes } from './known-bytes.ts';
export { PARSE_ERROR_CODES, ParseError, type ParseErrorCode } from './parse-error.ts';
export { Writer } from './writer.ts';
export { firstNonZero } from './zeros.ts';
