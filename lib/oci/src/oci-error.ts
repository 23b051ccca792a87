// The one error that judging images may throw, beside `ParseError` of @ringwall/bytes for malformed bytes.

/** Adding a code is a change of the API. */
export const OCI_ERROR_CODES = [
  'reference', // a name that no registry would accept
  'malformed', // a manifest, an archive or a database that is not what it claims
  'limit', // more work or memory than a named limit allows
] as const;

export type OciErrorCode = (typeof OCI_ERROR_CODES)[number];

export class OciError extends Error {
  override readonly name = 'OciError';
  readonly code: OciErrorCode;

  constructor(code: OciErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
