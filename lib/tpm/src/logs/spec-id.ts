// TCG_EfiSpecIDEvent, the header of a boot event log: PC Client Platform Firmware Profile 1.06 section 10.4.5.1, and the
// forms of TPM 1.2 times that begin "Spec ID Event00" and "Spec ID Event02". It says which digests each event carries.

import { Cursor, utf8 } from '@ringwall/bytes';
import { hashAlgorithm, type HashName } from '../hash.ts';

/** TPMs have at most five banks; HASH_COUNT of the specification's own headers is 16. */
export const MAX_LOG_ALGORITHMS = 16;
/** Of an algorithm that is not known here; no hash of the TCG registry has more than 64. */
const MAX_UNKNOWN_DIGEST_BYTES = 128;

const AGILE_SIGNATURE = 'Spec ID Event03\0';
const SIGNATURES: ReadonlySet<string> = new Set(['Spec ID Event00\0', 'Spec ID Event02\0', AGILE_SIGNATURE]);
export const SPEC_ID_AGILE: Uint8Array = utf8(AGILE_SIGNATURE);

/** A bank by the name of its hash; `0x` and four digits for a hash that this library does not know. */
export type BankName = HashName | `0x${string}`;

export interface EventLogAlgorithm {
  readonly name: BankName;
  readonly algorithmId: number;
  readonly digestBytes: number;
}

export interface SpecId {
  readonly kind: 'spec-id';
  readonly signature: string;
  readonly platformClass: number;
  /** As `2.0 errata 2`. */
  readonly version: string;
  /** Empty in the forms of TPM 1.2 times, whose events have one SHA-1 digest. */
  readonly algorithms: readonly EventLogAlgorithm[];
  readonly vendorInfo: Uint8Array;
}

/** `offset` is where `data` begins in the log. Throws `ParseError`. */
export function parseSpecId(data: Uint8Array, offset: number): SpecId {
  const cursor = new Cursor(data, offset);
  const signature = new TextDecoder('latin1').decode(cursor.take(16, 'signature'));
  if (!SIGNATURES.has(signature)) throw cursor.error('invalid', 'signature', `${JSON.stringify(signature)}, unknown`);
  const platformClass = cursor.u32le('platformClass');
  const specVersionMinor = cursor.u8('specVersionMinor');
  const specVersionMajor = cursor.u8('specVersionMajor');
  const agile = signature === AGILE_SIGNATURE;
  if (agile && specVersionMajor !== 2) {
    throw cursor.error('unsupported', 'specVersion', `${specVersionMajor}.${specVersionMinor}, expected 2`);
  }
  const specErrata = cursor.u8('specErrata');
  const uintnSize = cursor.u8('uintnSize');
  if (agile && uintnSize !== 1 && uintnSize !== 2) {
    throw cursor.error('invalid', 'uintnSize', `${uintnSize}, expected 1 or 2`);
  }
  const algorithms = agile ? readAlgorithms(cursor) : [];
  const vendorInfo = cursor.take(cursor.u8('vendorInfoSize'), 'vendorInfo');
  cursor.end('TCG_EfiSpecIDEvent');
  const version = `${specVersionMajor}.${specVersionMinor} errata ${specErrata}`;
  return { kind: 'spec-id', signature: signature.slice(0, -1), platformClass, version, algorithms, vendorInfo };
}

function readAlgorithms(cursor: Cursor): readonly EventLogAlgorithm[] {
  const numberOfAlgorithms = cursor.u32le('numberOfAlgorithms');
  if (numberOfAlgorithms < 1 || numberOfAlgorithms > MAX_LOG_ALGORITHMS) {
    const expected = `expected 1 to ${MAX_LOG_ALGORITHMS}`;
    throw cursor.error('limit', 'numberOfAlgorithms', `${numberOfAlgorithms}, ${expected}`);
  }
  const algorithms: EventLogAlgorithm[] = [];
  for (let read = 0; read < numberOfAlgorithms; read += 1) algorithms.push(readAlgorithm(cursor, algorithms));
  return algorithms;
}

/** Of a hash that is not known here the header's own size is believed: it only says where the next digest begins. */
function readAlgorithm(cursor: Cursor, before: readonly EventLogAlgorithm[]): EventLogAlgorithm {
  const algorithmId = cursor.u16le('algorithmId');
  const known = hashAlgorithm(algorithmId);
  const name: BankName = known?.name ?? `0x${algorithmId.toString(16).padStart(4, '0')}`;
  if (before.some((other) => other.algorithmId === algorithmId)) {
    throw cursor.error('invalid', 'algorithmId', `${name} twice, expected once`);
  }
  const digestBytes = cursor.u16le('digestSize');
  if (known !== undefined && digestBytes !== known.bytes) {
    throw cursor.error('invalid', 'digestSize', `${digestBytes}, expected ${known.bytes} for ${name}`);
  }
  if (digestBytes < 1 || digestBytes > MAX_UNKNOWN_DIGEST_BYTES) {
    throw cursor.error('limit', 'digestSize', `${digestBytes}, expected 1 to ${MAX_UNKNOWN_DIGEST_BYTES}`);
  }
  return { name, algorithmId, digestBytes };
}
