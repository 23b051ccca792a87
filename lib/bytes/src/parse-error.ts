// The one error that parsing bytes may throw: what was wrong, in which field, at which byte.

/** What can be wrong with bytes that somebody else wrote. Adding a code is a change of the API. */
export const PARSE_ERROR_CODES = [
  'truncated', // the bytes end before the field does
  'trailing', // bytes follow where the structure is over
  'limit', // a size or count is above a named limit
  'invalid', // a value that the specification forbids
  'unsupported', // a value that the specification allows and this parser does not read
] as const;

export type ParseErrorCode = (typeof PARSE_ERROR_CODES)[number];

/**
 * Bytes that are not what they should be. `message` begins with the field and says what was found and what was
 * expected (`eventSize 40, expected at most 16`); `offset` counts bytes from the start of the whole input.
 */
export class ParseError extends Error {
  override readonly name = 'ParseError';
  readonly code: ParseErrorCode;
  readonly field: string;
  readonly offset: number;

  constructor(code: ParseErrorCode, field: string, offset: number, detail: string) {
    super(`${field} ${detail}`);
    this.code = code;
    this.field = field;
    this.offset = offset;
  }
}
