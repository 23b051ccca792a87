// TPMS_ATTEST, TPM 2.0 Part 2 section 10.12.12: whatever a TPM attests to, in all its kinds.

import { Cursor } from '@ringwall/bytes';
import { TPM_GENERATED_VALUE, TPM_ST } from '../constants.ts';
import {
  readCertifyInfo,
  readCommandAuditInfo,
  readCreationInfo,
  readNvCertifyInfo,
  readNvDigestCertifyInfo,
  readQuoteInfo,
  readSessionAuditInfo,
  readTimeAttestInfo,
  type TPMS_CERTIFY_INFO,
  type TPMS_COMMAND_AUDIT_INFO,
  type TPMS_CREATION_INFO,
  type TPMS_NV_CERTIFY_INFO,
  type TPMS_NV_DIGEST_CERTIFY_INFO,
  type TPMS_QUOTE_INFO,
  type TPMS_SESSION_AUDIT_INFO,
  type TPMS_TIME_ATTEST_INFO,
} from './attested.ts';
import { readClockInfo, type TPMS_CLOCK_INFO } from './clock-info.ts';
import { MAX_DATA_BYTES, MAX_NAME_BYTES, readSized } from './sized.ts';

interface TPMS_ATTEST_COMMON {
  readonly magic: typeof TPM_GENERATED_VALUE;
  readonly qualifiedSigner: Uint8Array;
  readonly extraData: Uint8Array;
  readonly clockInfo: TPMS_CLOCK_INFO;
  readonly firmwareVersion: bigint;
}

/** TPMU_ATTEST with its TPMI_ST_ATTEST. */
export type Attested =
  | { readonly type: 'certify'; readonly attested: TPMS_CERTIFY_INFO }
  | { readonly type: 'creation'; readonly attested: TPMS_CREATION_INFO }
  | { readonly type: 'quote'; readonly attested: TPMS_QUOTE_INFO }
  | { readonly type: 'time'; readonly attested: TPMS_TIME_ATTEST_INFO }
  | { readonly type: 'nv'; readonly attested: TPMS_NV_CERTIFY_INFO }
  | { readonly type: 'nv-digest'; readonly attested: TPMS_NV_DIGEST_CERTIFY_INFO }
  | { readonly type: 'session-audit'; readonly attested: TPMS_SESSION_AUDIT_INFO }
  | { readonly type: 'command-audit'; readonly attested: TPMS_COMMAND_AUDIT_INFO };

/** Worth what its signature is worth: whoever wrote the bytes chose every field. */
export type TPMS_ATTEST = TPMS_ATTEST_COMMON & Attested;

/** Exactly one TPMS_ATTEST; throws `ParseError`. Verify the signature over the same bytes before you believe a field. */
export function parseAttest(bytes: Uint8Array): TPMS_ATTEST {
  const cursor = new Cursor(bytes);
  const magic = cursor.u32be('magic');
  if (magic !== TPM_GENERATED_VALUE) {
    throw cursor.error('invalid', 'magic', `0x${magic.toString(16)}, expected 0xff544347`);
  }
  const type = cursor.u16be('type');
  const readAttested = ATTESTED.get(type);
  if (readAttested === undefined) {
    throw cursor.error('unsupported', 'type', `0x${type.toString(16)}, expected 0x8014 to 0x801a or 0x801c`);
  }
  const common: TPMS_ATTEST_COMMON = {
    magic,
    qualifiedSigner: readSized(cursor, 'qualifiedSigner', MAX_NAME_BYTES),
    extraData: readSized(cursor, 'extraData', MAX_DATA_BYTES),
    clockInfo: readClockInfo(cursor),
    firmwareVersion: cursor.u64be('firmwareVersion'),
  };
  const attest: TPMS_ATTEST = { ...common, ...readAttested(cursor) };
  cursor.end('TPMS_ATTEST');
  return attest;
}

const ATTESTED: ReadonlyMap<number, (cursor: Cursor) => Attested> = new Map<number, (cursor: Cursor) => Attested>([
  [TPM_ST.ATTEST_CERTIFY, (cursor) => ({ type: 'certify', attested: readCertifyInfo(cursor) })],
  [TPM_ST.ATTEST_CREATION, (cursor) => ({ type: 'creation', attested: readCreationInfo(cursor) })],
  [TPM_ST.ATTEST_QUOTE, (cursor) => ({ type: 'quote', attested: readQuoteInfo(cursor) })],
  [TPM_ST.ATTEST_TIME, (cursor) => ({ type: 'time', attested: readTimeAttestInfo(cursor) })],
  [TPM_ST.ATTEST_NV, (cursor) => ({ type: 'nv', attested: readNvCertifyInfo(cursor) })],
  [TPM_ST.ATTEST_NV_DIGEST, (cursor) => ({ type: 'nv-digest', attested: readNvDigestCertifyInfo(cursor) })],
  [TPM_ST.ATTEST_SESSION_AUDIT, (cursor) => ({ type: 'session-audit', attested: readSessionAuditInfo(cursor) })],
  [TPM_ST.ATTEST_COMMAND_AUDIT, (cursor) => ({ type: 'command-audit', attested: readCommandAuditInfo(cursor) })],
]);
