// What can go wrong beside malformed bytes, which are a `ParseError` of @ringwall/bytes that names field and offset.

/** Adding a code is a change of the API. */
export const DISK_ERROR_CODES = [
  'unrecognised', // no format that this library knows
  'reference', // the image names another file, which the caller did not give
  'needs-codec', // compressed in a way for which the caller passed no decompressor
  'needs-key', // encrypted, and no key or passphrase was given
  'wrong-key', // none of the keys or passphrases given opens it
  'not-found', // no such file or directory inside
  'wrong-kind', // a directory where a file was asked for, or the other way round
  'limit', // more work or memory than a named limit allows
] as const;

export type DiskErrorCode = (typeof DISK_ERROR_CODES)[number];

export class DiskError extends Error {
  override readonly name = 'DiskError';
  readonly code: DiskErrorCode;

  constructor(code: DiskErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
