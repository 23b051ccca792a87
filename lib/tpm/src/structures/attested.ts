// TPMU_ATTEST, TPM 2.0 Part 2 section 10.12.11: what each kind of attestation says.

import type { Cursor } from '@ringwall/bytes';
import { readTimeInfo, type TPMS_TIME_INFO } from './clock-info.ts';
import { readPcrSelections, type TPMS_PCR_SELECTION } from './pcr-selection.ts';
import { MAX_DIGEST_BYTES, MAX_NAME_BYTES, MAX_NV_BUFFER_BYTES, readSized, readYesNo } from './sized.ts';

/** TPMS_TIME_ATTEST_INFO, Part 2 section 10.12.2. */
export interface TPMS_TIME_ATTEST_INFO {
  readonly time: TPMS_TIME_INFO;
  readonly firmwareVersion: bigint;
}

/** TPMS_CERTIFY_INFO, Part 2 section 10.12.3. */
export interface TPMS_CERTIFY_INFO {
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
}

/** TPMS_QUOTE_INFO, Part 2 section 10.12.4. */
export interface TPMS_QUOTE_INFO {
  readonly pcrSelect: readonly TPMS_PCR_SELECTION[];
  readonly pcrDigest: Uint8Array;
}

/** TPMS_COMMAND_AUDIT_INFO, Part 2 section 10.12.5. `digestAlg` is the algorithm of the audit, a TPM_ALG_ID. */
export interface TPMS_COMMAND_AUDIT_INFO {
  readonly auditCounter: bigint;
  readonly digestAlg: number;
  readonly auditDigest: Uint8Array;
  readonly commandDigest: Uint8Array;
}

/** TPMS_SESSION_AUDIT_INFO, Part 2 section 10.12.6. */
export interface TPMS_SESSION_AUDIT_INFO {
  readonly exclusiveSession: boolean;
  readonly sessionDigest: Uint8Array;
}

/** TPMS_CREATION_INFO, Part 2 section 10.12.7. `creationHash` is over a TPMS_CREATION_DATA, in the object's nameAlg. */
export interface TPMS_CREATION_INFO {
  readonly objectName: Uint8Array;
  readonly creationHash: Uint8Array;
}

/** TPMS_NV_CERTIFY_INFO, Part 2 section 10.12.8. */
export interface TPMS_NV_CERTIFY_INFO {
  readonly indexName: Uint8Array;
  readonly offset: number;
  readonly nvContents: Uint8Array;
}

/** TPMS_NV_DIGEST_CERTIFY_INFO, Part 2 section 10.12.9: the digest of all of an index, in its nameAlg. */
export interface TPMS_NV_DIGEST_CERTIFY_INFO {
  readonly indexName: Uint8Array;
  readonly nvDigest: Uint8Array;
}

export function readTimeAttestInfo(cursor: Cursor): TPMS_TIME_ATTEST_INFO {
  return { time: readTimeInfo(cursor), firmwareVersion: cursor.u64be('time.firmwareVersion') };
}

export function readCertifyInfo(cursor: Cursor): TPMS_CERTIFY_INFO {
  const name = readSized(cursor, 'name', MAX_NAME_BYTES);
  return { name, qualifiedName: readSized(cursor, 'qualifiedName', MAX_NAME_BYTES) };
}

export function readQuoteInfo(cursor: Cursor): TPMS_QUOTE_INFO {
  const pcrSelect = readPcrSelections(cursor, 'pcrSelect');
  return { pcrSelect, pcrDigest: readSized(cursor, 'pcrDigest', MAX_DIGEST_BYTES) };
}

export function readCommandAuditInfo(cursor: Cursor): TPMS_COMMAND_AUDIT_INFO {
  const auditCounter = cursor.u64be('auditCounter');
  const digestAlg = cursor.u16be('digestAlg');
  const auditDigest = readSized(cursor, 'auditDigest', MAX_DIGEST_BYTES);
  return { auditCounter, digestAlg, auditDigest, commandDigest: readSized(cursor, 'commandDigest', MAX_DIGEST_BYTES) };
}

export function readSessionAuditInfo(cursor: Cursor): TPMS_SESSION_AUDIT_INFO {
  const exclusiveSession = readYesNo(cursor, 'exclusiveSession');
  return { exclusiveSession, sessionDigest: readSized(cursor, 'sessionDigest', MAX_DIGEST_BYTES) };
}

export function readCreationInfo(cursor: Cursor): TPMS_CREATION_INFO {
  const objectName = readSized(cursor, 'objectName', MAX_NAME_BYTES);
  return { objectName, creationHash: readSized(cursor, 'creationHash', MAX_DIGEST_BYTES) };
}

export function readNvCertifyInfo(cursor: Cursor): TPMS_NV_CERTIFY_INFO {
  const indexName = readSized(cursor, 'indexName', MAX_NAME_BYTES);
  const offset = cursor.u16be('offset');
  return { indexName, offset, nvContents: readSized(cursor, 'nvContents', MAX_NV_BUFFER_BYTES) };
}

export function readNvDigestCertifyInfo(cursor: Cursor): TPMS_NV_DIGEST_CERTIFY_INFO {
  const indexName = readSized(cursor, 'indexName', MAX_NAME_BYTES);
  return { indexName, nvDigest: readSized(cursor, 'nvDigest', MAX_DIGEST_BYTES) };
}
