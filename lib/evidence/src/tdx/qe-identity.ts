// The identity of Intel’s quoting enclave, version 2: Intel SGX and TDX Provisioning Certification Service API version 4,
// “Get TDX QE Identity”. The attestation key is as good as the enclave that keeps it.
import { equalBytes, toHex } from '@ringwall/bytes';
import { fails, holds, type Answer } from '../checks.ts';
import type { EnclaveReport } from './enclave-report.ts';
import { readHex, readSignedObject, readValidity, type Validity } from './intel-json.ts';
import { readSvnLevel, type SvnLevel } from './tcb-info.ts';

const MAX_LEVELS = 64;
const MAX_NUMBER = 0xffff_ffff;

/** True only where the signature of its text was verified. */
export interface QeIdentity extends Validity {
  readonly evaluationDataNumber: number;
  readonly miscSelect: Uint8Array;
  readonly miscSelectMask: Uint8Array;
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly levels: readonly SvnLevel[];
}

/** Throws ParseError. */
export function parseQeIdentity(text: Uint8Array): QeIdentity {
  const object = readSignedObject(text, 'enclaveIdentity');
  object.oneOf('id', ['TD_QE']);
  object.oneOf('version', [2]);
  return {
    ...readValidity(object),
    evaluationDataNumber: object.integer('tcbEvaluationDataNumber', 0, MAX_NUMBER),
    // Numbers in the text, little endian in the report.
    miscSelect: readHex(object, 'miscselect', 4).toReversed(),
    miscSelectMask: readHex(object, 'miscselectMask', 4).toReversed(),
    attributes: readHex(object, 'attributes', 16),
    attributesMask: readHex(object, 'attributesMask', 16),
    mrSigner: readHex(object, 'mrsigner', 32),
    isvProdId: object.integer('isvprodid', 0, 0xffff),
    levels: object.array('tcbLevels', MAX_LEVELS, readSvnLevel),
  };
}

/** Whether the enclave that signed is the one that Intel describes; how new it is, is the evaluation’s. */
export function checkQeIdentity(report: EnclaveReport, identity: QeIdentity): Answer {
  if (!equalBytes(report.mrSigner, identity.mrSigner)) {
    return fails(`the quoting enclave is signed by ${toHex(report.mrSigner)}, which is not Intel’s key for it`);
  }
  if (report.isvProdId !== identity.isvProdId) {
    return fails(`the enclave is product ${report.isvProdId}, the quoting enclave is ${identity.isvProdId}`);
  }
  if (!equalsMasked(report.miscSelect, identity.miscSelect, identity.miscSelectMask)) {
    return fails(`the quoting enclave’s MISCSELECT is ${toHex(report.miscSelect)}`);
  }
  if (!equalsMasked(report.attributes, identity.attributes, identity.attributesMask)) {
    return fails(`the quoting enclave’s attributes are ${toHex(report.attributes)}: it could be in debug mode`);
  }
  return holds(`product ${report.isvProdId}, version ${report.isvSvn}`);
}

export function equalsMasked(seen: Uint8Array, expected: Uint8Array, mask: Uint8Array): boolean {
  const masked = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => byte & (mask[at] ?? 0xff));
  return equalBytes(masked(seen), masked(expected));
}
