// The templates of IMA: which fields an entry has, and what stands in them. Linux security/integrity/ima/ima_template.c
// and ima_template_lib.c; little endian, as a machine that is little endian or boots with `ima_canonical_fmt` writes it.
// Paths and signatures are of files that the measured machine's users may have made.

import { Cursor, ParseError, toHex } from '@ringwall/bytes';

/** The longest that the kernel itself restores is a format of nine fields, 81 characters. */
export const MAX_IMA_TEMPLATE_NAME_BYTES = 128;
/** PATH_MAX of Linux, with the NUL. */
export const MAX_IMA_PATH_BYTES = 4096;
/** An xattr may have 64 KiB, and a template may carry a few. */
export const MAX_IMA_TEMPLATE_DATA_BYTES: number = 256 * 1024;
/** `type:algorithm:`, NUL and a digest of 64 bytes; no name in the kernel's list has more than 16 characters. */
const MAX_DIGEST_FIELD_BYTES = 112;
/** IMA_TEMPLATE_NUM_FIELDS_MAX. */
const MAX_FIELDS = 15;
/** IMA_EVENT_NAME_LEN_MAX and a NUL: the old template hashes every name as if it had this length. */
export const OLD_NAME_BYTES = 256;
/** The digest of the old template, SHA-1 or MD5 with zeros behind. */
export const OLD_DIGEST_BYTES = 20;

/** Field identifiers, supported_fields[] of ima_template.c. */
const FIELD_IDS = [
  'd',
  'n',
  'd-ng',
  'd-ngv2',
  'n-ng',
  'sig',
  'buf',
  'd-modsig',
  'modsig',
  'evmsig',
  'iuid',
  'igid',
  'imode',
  'xattrnames',
  'xattrlengths',
  'xattrvalues',
] as const;

export type ImaFieldId = (typeof FIELD_IDS)[number];

/** builtin_templates[] of ima_template.c. */
const BUILT_IN: ReadonlyMap<string, string> = new Map([
  ['ima', 'd|n'],
  ['ima-ng', 'd-ng|n-ng'],
  ['ima-ngv2', 'd-ngv2|n-ng'],
  ['ima-sig', 'd-ng|n-ng|sig'],
  ['ima-sigv2', 'd-ngv2|n-ng|sig'],
  ['ima-buf', 'd-ng|n-ng|buf'],
  ['ima-modsig', 'd-ng|n-ng|sig|d-modsig|modsig'],
  ['evm-sig', 'd-ng|n-ng|evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode'],
]);

export interface ImaTemplate {
  readonly name: string;
  readonly fields: readonly ImaFieldId[];
}

/** What `d-ng` and `d-ngv2` say of a file or a buffer; `type` is `ima` or `verity` where it is said. */
export interface ImaDigest {
  readonly type: string | undefined;
  readonly algorithm: string;
  readonly value: Uint8Array;
}

/** The fields of one entry; those that its template lacks are undefined, those that are empty too. */
export interface ImaFields {
  readonly digest: ImaDigest | undefined;
  /** The path of a file, or the name of a buffer. Whoever made the file chose it. */
  readonly name: string;
  readonly signature: Uint8Array | undefined;
  readonly buffer: Uint8Array | undefined;
  /** The digest of the file without its appended signature, and that signature. */
  readonly modsigDigest: ImaDigest | undefined;
  readonly modsig: Uint8Array | undefined;
  /** evmsig, iuid, igid, imode and xattrs, as they stand in the entry. */
  readonly metadata: ReadonlyMap<ImaFieldId, Uint8Array>;
}

/** A built-in template, or a format such as `d-ng|n-ng|sig`. Throws `ParseError`. */
export function imaTemplate(name: string, offset: number): ImaTemplate {
  const ids = (BUILT_IN.get(name) ?? name).split('|');
  const fields = FIELD_IDS.filter((id) => ids.includes(id));
  if (ids.length > MAX_FIELDS || ids.some((id) => !fields.some((known) => known === id))) {
    throw new ParseError('unsupported', 'template', offset, `${JSON.stringify(name)}, expected one that Linux has`);
  }
  return { name, fields: ids.flatMap((id) => fields.filter((known) => known === id)) };
}

/** The lengths of all fields, and nothing behind them: what must hold before an entry is hashed. */
export function checkImaFields(template: ImaTemplate, data: DataView, start: number, end: number, base: number): void {
  let at = start;
  for (const id of template.fields) {
    if (end - at < 4) throw new ParseError('truncated', id, base + at, 'needs 4 bytes of length, expected more');
    const length = data.getUint32(at, true);
    at += 4;
    if (length > end - at) {
      throw new ParseError('truncated', id, base + at, `needs ${length} bytes, expected at most ${end - at}`);
    }
    if (id === 'n-ng' || id === 'n') checkName(id, data, at, length, base);
    else if (id.startsWith('d') && length > MAX_DIGEST_FIELD_BYTES) {
      throw new ParseError('limit', id, base + at, `has ${length} bytes, expected at most ${MAX_DIGEST_FIELD_BYTES}`);
    }
    at += length;
  }
  if (at !== end) throw new ParseError('trailing', 'template data', base + at, `has ${end - at} bytes after its end`);
}

/** The fields of template data that `checkImaFields` has passed. Throws `ParseError` where a field is not of its form. */
export function parseImaFields(template: ImaTemplate, data: Uint8Array, base: number): ImaFields {
  const cursor = new Cursor(data, base);
  const values = new Map<ImaFieldId, Uint8Array>();
  for (const id of template.fields) values.set(id, cursor.take(cursor.u32le(id), id));
  cursor.end('template data');
  return fieldsOf(values, base);
}

/** The fields of the old `ima` template, which has no lengths but that of the name. */
export function oldImaFields(digest: Uint8Array, name: Uint8Array, base: number): ImaFields {
  return fieldsOf(
    new Map([
      ['d', digest],
      ['n', name],
    ]),
    base,
  );
}

function fieldsOf(values: ReadonlyMap<ImaFieldId, Uint8Array>, base: number): ImaFields {
  const filled = (id: ImaFieldId): Uint8Array | undefined => {
    const value = values.get(id);
    return value === undefined || value.length === 0 ? undefined : value;
  };
  const old = filled('d');
  const name = values.get('n-ng') ?? values.get('n') ?? new Uint8Array(0);
  return {
    digest:
      old === undefined
        ? parseDigest(filled('d-ng') ?? filled('d-ngv2'), values.has('d-ngv2'), base)
        : { type: undefined, algorithm: 'sha1', value: old },
    name: parseName(name, base),
    signature: filled('sig'),
    buffer: filled('buf'),
    modsigDigest: parseDigest(filled('d-modsig'), false, base),
    modsig: filled('modsig'),
    metadata: new Map([...values].filter(([id]) => /^(evmsig|iuid|igid|imode|xattr.*)$/.test(id))),
  };
}

/** `algorithm:`, NUL, digest; in `d-ngv2` `type:algorithm:`, NUL, digest. */
function parseDigest(field: Uint8Array | undefined, typed: boolean, base: number): ImaDigest | undefined {
  if (field === undefined) return undefined;
  const prefix = new TextDecoder('latin1').decode(field.subarray(0, field.indexOf(0) + 1));
  const match = (typed ? /^([a-z]+):([a-z0-9_-]+):\0$/ : /^()([a-z0-9_-]+):\0$/).exec(prefix);
  const value = field.subarray(prefix.length);
  if (match === null || value.length === 0) {
    throw new ParseError('invalid', 'digest', base, `is ${toHex(field)}, expected an algorithm and a digest`);
  }
  const [, type = '', algorithm = ''] = match;
  return { type: type === '' ? undefined : type, algorithm, value };
}

function checkName(id: string, data: DataView, at: number, length: number, base: number): void {
  if (length === 0 || length > MAX_IMA_PATH_BYTES || data.getUint8(at + length - 1) !== 0) {
    const expected = `expected at most ${MAX_IMA_PATH_BYTES} that end in NUL`;
    throw new ParseError('invalid', id, base + at, `has ${length} bytes, ${expected}`);
  }
}

/** A path is bytes; what is no UTF-8 in it is shown as U+FFFD, and only the digest speaks for it. */
function parseName(bytes: Uint8Array, base: number): string {
  const end = bytes.indexOf(0);
  if (end >= 0 && end !== bytes.length - 1) {
    throw new ParseError('invalid', 'name', base + end, `has a NUL at ${end}, expected only at its end`);
  }
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(end < 0 ? bytes : bytes.subarray(0, end));
}
