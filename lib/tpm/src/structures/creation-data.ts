// TPMS_CREATION_DATA, TPM 2.0 Part 2 section 15.1: where and when an object was made. TPM2_CertifyCreation attests to
// its digest.

import { Cursor } from '@ringwall/bytes';
import { hashAlgorithm } from '../hash.ts';
import { TPM_ALG } from '../constants.ts';
import { readPcrSelections, type TPMS_PCR_SELECTION } from './pcr-selection.ts';
import { MAX_DATA_BYTES, MAX_DIGEST_BYTES, MAX_NAME_BYTES, readSized } from './sized.ts';

/** True only where a TPMS_CREATION_INFO that a TPM signed has the digest of these bytes. */
export interface TPMS_CREATION_DATA {
  readonly pcrSelect: readonly TPMS_PCR_SELECTION[];
  readonly pcrDigest: Uint8Array;
  /** TPMA_LOCALITY, Part 2 section 8.5. */
  readonly locality: number;
  /** TPM_ALG_NULL where the parent is a hierarchy: then both Names are its handle. */
  readonly parentNameAlg: number;
  readonly parentName: Uint8Array;
  readonly parentQualifiedName: Uint8Array;
  readonly outsideInfo: Uint8Array;
}

/** Exactly one TPMS_CREATION_DATA (without the size of a TPM2B_CREATION_DATA); throws `ParseError`. */
export function parseCreationData(bytes: Uint8Array): TPMS_CREATION_DATA {
  const cursor = new Cursor(bytes);
  const pcrSelect = readPcrSelections(cursor, 'pcrSelect');
  const pcrDigest = readSized(cursor, 'pcrDigest', MAX_DIGEST_BYTES);
  const locality = cursor.u8('locality');
  const parentNameAlg = cursor.u16be('parentNameAlg');
  if (parentNameAlg !== TPM_ALG.NULL && hashAlgorithm(parentNameAlg) === undefined) {
    throw cursor.error('unsupported', 'parentNameAlg', `0x${parentNameAlg.toString(16)}, expected a hash or NULL`);
  }
  const parentName = readSized(cursor, 'parentName', MAX_NAME_BYTES);
  const parentQualifiedName = readSized(cursor, 'parentQualifiedName', MAX_NAME_BYTES);
  const outsideInfo = readSized(cursor, 'outsideInfo', MAX_DATA_BYTES);
  cursor.end('TPMS_CREATION_DATA');
  return { pcrSelect, pcrDigest, locality, parentNameAlg, parentName, parentQualifiedName, outsideInfo };
}
