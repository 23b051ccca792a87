// EFI_SIGNATURE_LIST: the certificates and digests that Secure Boot allows and forbids. UEFI 2.10 section 32.4.1.

import { Cursor } from '@ringwall/bytes';
import { readGuid } from './event-text.ts';

/** The revocation list of 2025 has some 1,200; the bound is on memory. */
export const MAX_SIGNATURES = 16_384;
const LIST_HEADER_BYTES = 28;
const OWNER_BYTES = 16;

/** Section 32.4.1, EFI_CERT_*_GUID. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['c1c41626-504c-4092-aca9-41f936934328', 'sha256'],
  ['826ca512-cf10-4ac9-b187-be01496631bd', 'sha1'],
  ['0b6e5233-a65c-44c9-9407-d9ab83bfc8bd', 'sha224'],
  ['ff3e5307-9fd0-48c9-85f1-8ad56c701e01', 'sha384'],
  ['093e0fae-a6c4-4f50-9f1b-d41e2b89c19a', 'sha512'],
  ['a5c059a1-94e4-4aa7-87b5-ab155c2bf072', 'x509'],
  ['3bd2a492-96c0-4079-b420-fcf98ef103ed', 'x509-sha256'],
  ['7076876e-80c2-4ee6-aad2-28b349a6865b', 'x509-sha384'],
  ['446dbf63-2502-4cda-bcfa-2465d2b0fe9d', 'x509-sha512'],
  ['3c5766e8-269c-4e34-aa14-ed776e85b3b6', 'rsa2048'],
  ['e2b36190-879b-4a3d-ad8d-f2e7bba32784', 'rsa2048-sha256'],
  ['4aafd29d-68df-49ee-8aa9-347d375665a7', 'pkcs7'],
]);

/** EFI_SIGNATURE_DATA: who added it, and a digest or a certificate. */
export interface EfiSignature {
  readonly owner: string;
  readonly data: Uint8Array;
}

export interface EfiSignatureList {
  /** `sha256`, `x509`, …; the GUID where it is another. */
  readonly type: string;
  readonly signatures: readonly EfiSignature[];
}

/** The value of db, dbx, KEK, PK or MokList: any number of lists, none included. Throws `ParseError`. */
export function parseSignatureLists(bytes: Uint8Array, offset: number): readonly EfiSignatureList[] {
  const cursor = new Cursor(bytes, offset);
  const lists: EfiSignatureList[] = [];
  let left = MAX_SIGNATURES;
  while (cursor.remaining > 0) {
    const list = readList(cursor, left);
    lists.push(list);
    left -= list.signatures.length + 1;
    if (left <= 0) throw cursor.error('limit', 'signatures', `${MAX_SIGNATURES} and more, expected at most`);
  }
  return lists;
}

/** EFI_SIGNATURE_DATA alone, as EV_EFI_VARIABLE_AUTHORITY has it. */
export function parseEfiSignature(bytes: Uint8Array, offset: number): EfiSignature {
  const cursor = new Cursor(bytes, offset);
  return { owner: readGuid(cursor, 'signatureOwner'), data: cursor.rest('signatureData') };
}

function readList(cursor: Cursor, limit: number): EfiSignatureList {
  const guid = readGuid(cursor, 'signatureType');
  const listSize = cursor.u32le('signatureListSize');
  const headerSize = cursor.u32le('signatureHeaderSize');
  const signatureSize = cursor.u32le('signatureSize');
  if (listSize < LIST_HEADER_BYTES)
    throw cursor.error('invalid', 'signatureListSize', `${listSize}, expected 28 or more`);
  const body = cursor.sub(listSize - LIST_HEADER_BYTES, 'signature list');
  body.skip(headerSize, 'signatureHeader');
  if (signatureSize < OWNER_BYTES || body.remaining % signatureSize !== 0) {
    throw body.error('invalid', 'signatureSize', `${signatureSize}, expected a part of ${body.remaining} from 16 on`);
  }
  if (body.remaining / signatureSize > limit) {
    throw body.error('limit', 'signatures', `${body.remaining / signatureSize}, expected at most ${limit}`);
  }
  const signatures: EfiSignature[] = [];
  while (body.remaining > 0) {
    signatures.push({
      owner: readGuid(body, 'signatureOwner'),
      data: body.take(signatureSize - OWNER_BYTES, 'signatureData'),
    });
  }
  return { type: TYPES.get(guid) ?? guid, signatures };
}
