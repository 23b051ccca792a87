// How dm-crypt names a cipher: `aes-xts-plain64`, `aes-cbc-essiv:sha256` (cryptsetup, "LUKS On-Disk Format", 2.2;
// Documentation/admin-guide/device-mapper/dm-crypt.rst of Linux). Only AES is read here; everything else is named.
import { ParseError } from '@ringwall/bytes';
import { hashName } from './hash-name.ts';

const AES_KEY_BYTES: readonly number[] = [16, 24, 32];

export type SectorIv =
  | { readonly kind: 'plain' }
  | { readonly kind: 'plain64' }
  | { readonly kind: 'essiv'; readonly hash: string };

export interface CipherSpec {
  /** As dm-crypt writes it. */
  readonly text: string;
  readonly mode: 'xts' | 'cbc';
  readonly iv: SectorIv;
  /** The whole key: of XTS two of AES. */
  readonly keyBytes: number;
}

/** The cipher `text` with keys of `keyBytes`; `field` and `offset` name who said so. */
function parseCipherSpec(text: string, keyBytes: number, field: string, offset: number): CipherSpec {
  const refuse = (detail: string): ParseError => new ParseError('unsupported', field, offset, detail);
  const match = /^aes-(xts|cbc)-(plain|plain64|essiv:([a-z0-9-]{1,20}))$/.exec(text);
  if (match === null) throw refuse(`${JSON.stringify(text)}, expected aes-xts or aes-cbc with plain, plain64 or essiv`);
  const mode = match[1] === 'xts' ? 'xts' : 'cbc';
  const aesBytes = mode === 'xts' ? keyBytes / 2 : keyBytes;
  if (!AES_KEY_BYTES.includes(aesBytes) || (mode === 'xts' && aesBytes === 24)) {
    throw refuse(`${text} with a key of ${keyBytes} bytes, expected one of AES`);
  }
  return { text, mode, iv: ivOf(match[2] ?? '', match[3], field, offset), keyBytes };
}

/** The same, or why not: a cipher that is not read does not hide a header, which still tells who could open the disk. */
export function tryCipherSpec(
  text: string,
  keyBytes: number,
  field: string,
  offset: number,
): { readonly cipher: CipherSpec | undefined; readonly refusal: string } {
  try {
    return { cipher: parseCipherSpec(text, keyBytes, field, offset), refusal: '' };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return { cipher: undefined, refusal: error.message };
  }
}

function ivOf(kind: string, hash: string | undefined, field: string, offset: number): SectorIv {
  if (hash !== undefined) return { kind: 'essiv', hash: hashName(hash, field, offset) };
  return kind === 'plain' ? { kind } : { kind: 'plain64' };
}
