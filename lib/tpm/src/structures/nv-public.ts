// TPMS_NV_PUBLIC and TPMA_NV, TPM 2.0 Part 2 sections 13.5 and 13.4: what an NV index is.

import { Cursor, Writer } from '@ringwall/bytes';
import { TPM_HT, TPM_NT, TPMA_NV } from '../constants.ts';
import { hashAlgorithm } from '../hash.ts';
import { MAX_DIGEST_BYTES, readSized, writeSized } from './sized.ts';

/** Worth what brought it: the Name over it stands in an attestation, the structure itself is a claim. */
export interface TPMS_NV_PUBLIC {
  readonly nvIndex: number;
  readonly nameAlg: number;
  /** TPMA_NV. */
  readonly attributes: number;
  readonly authPolicy: Uint8Array;
  readonly dataSize: number;
  /** The encoding that this was parsed from, and that the Name is computed over. */
  readonly bytes: Uint8Array;
}

/** The TPMA_NV bits by name. */
export type NvAttributes = Readonly<Record<keyof typeof TPMA_NV, boolean>>;

/** TPM_NT by name, or undefined where the specification reserves the value. */
export type NvType = keyof typeof TPM_NT;

/** Exactly one TPMS_NV_PUBLIC (without the size of a TPM2B_NV_PUBLIC); throws `ParseError`. */
export function parseNvPublic(bytes: Uint8Array): TPMS_NV_PUBLIC {
  const cursor = new Cursor(bytes);
  const nvIndex = cursor.u32be('nvIndex');
  if (nvIndex >>> 24 !== TPM_HT.NV_INDEX) {
    throw cursor.error('invalid', 'nvIndex', `0x${nvIndex.toString(16)}, expected 0x01000000 to 0x01ffffff`);
  }
  const nameAlg = cursor.u16be('nameAlg');
  if (hashAlgorithm(nameAlg) === undefined) {
    throw cursor.error('unsupported', 'nameAlg', `0x${nameAlg.toString(16)}, expected a hash algorithm`);
  }
  const attributes = cursor.u32be('attributes');
  const reserved = (attributes & ~KNOWN_BITS) >>> 0;
  if (reserved !== 0) {
    throw cursor.error('invalid', 'attributes', `has reserved bits 0x${reserved.toString(16)}, expected 0`);
  }
  if (nvTypeOf(attributes) === undefined) {
    throw cursor.error('invalid', 'attributes', `has TPM_NT 0x${((attributes & TYPE_BITS) >> 4).toString(16)}`);
  }
  const authPolicy = readSized(cursor, 'authPolicy', MAX_DIGEST_BYTES);
  const dataSize = cursor.u16be('dataSize');
  cursor.end('TPMS_NV_PUBLIC');
  return { nvIndex, nameAlg, attributes, authPolicy, dataSize, bytes: new Uint8Array(bytes) };
}

/** A TPMS_NV_PUBLIC; `parseNvPublic` reads it back. */
export function encodeNvPublic(area: Omit<TPMS_NV_PUBLIC, 'bytes'>): Uint8Array<ArrayBuffer> {
  const writer = new Writer().u32be(area.nvIndex).u16be(area.nameAlg).u32be(area.attributes);
  return writeSized(writer, area.authPolicy).u16be(area.dataSize).finish();
}

export function nvAttributesOf(area: Pick<TPMS_NV_PUBLIC, 'attributes'>): NvAttributes {
  const has = (bit: number): boolean => (area.attributes & bit) !== 0;
  return {
    PPWRITE: has(TPMA_NV.PPWRITE),
    OWNERWRITE: has(TPMA_NV.OWNERWRITE),
    AUTHWRITE: has(TPMA_NV.AUTHWRITE),
    POLICYWRITE: has(TPMA_NV.POLICYWRITE),
    POLICY_DELETE: has(TPMA_NV.POLICY_DELETE),
    WRITELOCKED: has(TPMA_NV.WRITELOCKED),
    WRITEALL: has(TPMA_NV.WRITEALL),
    WRITEDEFINE: has(TPMA_NV.WRITEDEFINE),
    WRITE_STCLEAR: has(TPMA_NV.WRITE_STCLEAR),
    GLOBALLOCK: has(TPMA_NV.GLOBALLOCK),
    PPREAD: has(TPMA_NV.PPREAD),
    OWNERREAD: has(TPMA_NV.OWNERREAD),
    AUTHREAD: has(TPMA_NV.AUTHREAD),
    POLICYREAD: has(TPMA_NV.POLICYREAD),
    NO_DA: has(TPMA_NV.NO_DA),
    ORDERLY: has(TPMA_NV.ORDERLY),
    CLEAR_STCLEAR: has(TPMA_NV.CLEAR_STCLEAR),
    READLOCKED: has(TPMA_NV.READLOCKED),
    WRITTEN: has(TPMA_NV.WRITTEN),
    PLATFORMCREATE: has(TPMA_NV.PLATFORMCREATE),
    READ_STCLEAR: has(TPMA_NV.READ_STCLEAR),
  };
}

/** What kind of index it is: plain data, a counter, bits, an extended digest, or a PIN. */
export function nvTypeOf(attributes: number): NvType | undefined {
  const bits = attributes & TYPE_BITS;
  if (bits === TPM_NT.ORDINARY) return 'ORDINARY';
  if (bits === TPM_NT.COUNTER) return 'COUNTER';
  if (bits === TPM_NT.BITS) return 'BITS';
  if (bits === TPM_NT.EXTEND) return 'EXTEND';
  if (bits === TPM_NT.PIN_FAIL) return 'PIN_FAIL';
  return bits === TPM_NT.PIN_PASS ? 'PIN_PASS' : undefined;
}

const TYPE_BITS = 0xf0;
const KNOWN_BITS = Object.values(TPMA_NV).reduce((all, bit) => all | bit, TYPE_BITS);
