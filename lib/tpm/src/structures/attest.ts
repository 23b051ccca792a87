// TPMS_ATTEST, TPM 2.0 Part 2 section 10.12: what a TPM says in a quote or a certification.

import { Cursor } from '@ringwall/bytes';
import { TPM_GENERATED_VALUE, TPM_ST } from '../constants.ts';
import { readPcrSelections, type TPMS_PCR_SELECTION } from './pcr-selection.ts';
import { readSized } from './public-area.ts';

/** TPM2B_NAME holds a handle or an algorithm and the largest digest: 2 + 64 bytes. */
const MAX_NAME_BYTES = 66;
/** TPM2B_DATA holds a TPMT_HA: 2 + 64 bytes. */
const MAX_DATA_BYTES = 66;
const MAX_DIGEST_BYTES = 64;

/** TPMS_CLOCK_INFO, Part 2 section 10.11.1. */
export interface TPMS_CLOCK_INFO {
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly safe: boolean;
}

/** TPMS_QUOTE_INFO, Part 2 section 10.12.4. */
export interface TPMS_QUOTE_INFO {
  readonly pcrSelect: readonly TPMS_PCR_SELECTION[];
  readonly pcrDigest: Uint8Array;
}

/** TPMS_CERTIFY_INFO, Part 2 section 10.12.3. */
export interface TPMS_CERTIFY_INFO {
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
}

interface TPMS_ATTEST_COMMON {
  readonly magic: typeof TPM_GENERATED_VALUE;
  readonly qualifiedSigner: Uint8Array;
  readonly extraData: Uint8Array;
  readonly clockInfo: TPMS_CLOCK_INFO;
  readonly firmwareVersion: bigint;
}

/** Worth what its signature is worth: whoever wrote the bytes chose every field. */
export type TPMS_ATTEST =
  | (TPMS_ATTEST_COMMON & { readonly type: 'quote'; readonly attested: TPMS_QUOTE_INFO })
  | (TPMS_ATTEST_COMMON & { readonly type: 'certify'; readonly attested: TPMS_CERTIFY_INFO });

/** Exactly one TPMS_ATTEST of a quote or a certification; throws `ParseError`. */
export function parseAttest(bytes: Uint8Array): TPMS_ATTEST {
  const cursor = new Cursor(bytes);
  const magic = cursor.u32be('magic');
  if (magic !== TPM_GENERATED_VALUE) {
    throw cursor.error('invalid', 'magic', `0x${magic.toString(16)}, expected 0xff544347`);
  }
  const type = cursor.u16be('type');
  if (type !== TPM_ST.ATTEST_QUOTE && type !== TPM_ST.ATTEST_CERTIFY) {
    throw cursor.error('unsupported', 'type', `0x${type.toString(16)}, expected 0x8018 (quote) or 0x8017 (certify)`);
  }
  const common: TPMS_ATTEST_COMMON = {
    magic,
    qualifiedSigner: readSized(cursor, 'qualifiedSigner', MAX_NAME_BYTES),
    extraData: readSized(cursor, 'extraData', MAX_DATA_BYTES),
    clockInfo: readClockInfo(cursor),
    firmwareVersion: cursor.u64be('firmwareVersion'),
  };
  const attest: TPMS_ATTEST =
    type === TPM_ST.ATTEST_QUOTE
      ? { ...common, type: 'quote', attested: readQuoteInfo(cursor) }
      : { ...common, type: 'certify', attested: readCertifyInfo(cursor) };
  cursor.end('TPMS_ATTEST');
  return attest;
}

function readClockInfo(cursor: Cursor): TPMS_CLOCK_INFO {
  const clock = cursor.u64be('clockInfo.clock');
  const resetCount = cursor.u32be('clockInfo.resetCount');
  const restartCount = cursor.u32be('clockInfo.restartCount');
  const safe = cursor.u8('clockInfo.safe');
  // TPMI_YES_NO, Part 2 section 9.2: 0 or 1 and nothing else.
  if (safe > 1) throw cursor.error('invalid', 'clockInfo.safe', `${safe}, expected 0 or 1`);
  return { clock, resetCount, restartCount, safe: safe === 1 };
}

function readQuoteInfo(cursor: Cursor): TPMS_QUOTE_INFO {
  const pcrSelect = readPcrSelections(cursor, 'pcrSelect');
  return { pcrSelect, pcrDigest: readSized(cursor, 'pcrDigest', MAX_DIGEST_BYTES) };
}

function readCertifyInfo(cursor: Cursor): TPMS_CERTIFY_INFO {
  const name = readSized(cursor, 'name', MAX_NAME_BYTES);
  return { name, qualifiedName: readSized(cursor, 'qualifiedName', MAX_NAME_BYTES) };
}
