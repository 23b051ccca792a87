// Why a sealed object is not opened. Everything in it comes from whoever had it last.

/** Adding a code is a change of the API. */
export const SEAL_ERROR_CODES = [
  'not-sealed', // it does not begin like a sealed object, or is of a later version
  'needs-key', // none of the keys given is one that it was sealed for
  'wrong-key', // it names the key given, and that key does not open it
  'altered', // a part of it is not what was sealed
  'truncated', // it ends before its end
  'needs-codec', // it is compressed, and the caller passed no decompressor
  'needs-parent', // it continues another object than the one that is there
  'limit', // more than a named limit allows
] as const;

export type SealErrorCode = (typeof SEAL_ERROR_CODES)[number];

export class SealError extends Error {
  override readonly name = 'SealError';
  readonly code: SealErrorCode;
  /** Of the byte in the sealed object from which on it is not as it was; undefined where that says nothing. */
  readonly offset: number | undefined;

  constructor(code: SealErrorCode, message: string, options: ErrorOptions & { readonly offset?: number } = {}) {
    super(message, options);
    this.code = code;
    this.offset = options.offset;
  }
}
