// What Intel’s provisioning service says in JSON and signs: Intel SGX and TDX Provisioning Certification Service API version
// 4, TCB info and enclave identity. The signature is over the text of the inner object, exactly as it was sent.
import { equalBytes, fromHex, ParseError, utf8 } from '@ringwall/bytes';
import { ClosedObject, type Refuse } from '../json.ts';

/** A TCB info for TDX has about 8 KiB. */
export const MAX_INTEL_JSON_BYTES: number = 256 * 1024;
const SIGNATURE_BYTES = 64;
const LINE_FEED = 0x0a;
const MAX_ADVISORIES = 128;
const MAX_ADVISORY_CHARACTERS = 40;

/** From good to bad; Intel adds none without a new version. */
export const TCB_STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const;
export type TcbStatus = (typeof TCB_STATUSES)[number];

export interface SignedJson {
  /** The text that is signed. */
  readonly text: Uint8Array;
  /** r and s. */
  readonly signature: Uint8Array;
}

/** Between which times something that Intel said holds. */
export interface Validity {
  readonly issueDate: Date;
  readonly nextUpdate: Date;
}

export const refuseJson: Refuse = (message) => {
  throw new ParseError('invalid', 'JSON', 0, message);
};

/** A response’s body, `{"NAME":TEXT,"signature":"HEX"}`, taken apart without reading TEXT; throws ParseError. */
export function splitSignedJson(response: Uint8Array, name: 'tcbInfo' | 'enclaveIdentity'): SignedJson {
  if (response.length > MAX_INTEL_JSON_BYTES) {
    throw new ParseError('limit', name, 0, `has ${response.length} bytes, expected at most ${MAX_INTEL_JSON_BYTES}`);
  }
  // Editors and shells end a file with a line feed.
  const body = response.at(-1) === LINE_FEED ? response.subarray(0, -1) : response;
  const head = utf8(`{"${name}":`);
  const middle = utf8(',"signature":"');
  const tail = utf8('"}');
  const signatureAt = body.length - tail.length - 2 * SIGNATURE_BYTES;
  const middleAt = signatureAt - middle.length;
  if (
    middleAt < head.length ||
    !equalBytes(body.subarray(0, head.length), head) ||
    !equalBytes(body.subarray(middleAt, signatureAt), middle) ||
    !equalBytes(body.subarray(body.length - tail.length), tail)
  ) {
    throw new ParseError('invalid', name, 0, 'is not the response of Intel’s service, expected it byte for byte');
  }
  const hex = new TextDecoder('latin1').decode(body.subarray(signatureAt, body.length - tail.length));
  return { text: body.slice(head.length, middleAt), signature: fromHex(hex, 'signature') };
}

/** The object behind signed text; throws ParseError. Keys that Intel may add are let be: they come with its signature. */
export function readSignedObject(text: Uint8Array, name: string): ClosedObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch {
    throw new ParseError('invalid', name, 0, 'is not JSON');
  }
  return new ClosedObject(value, name, refuseJson);
}

export function readValidity(object: ClosedObject): Validity {
  const validity = { issueDate: readDate(object, 'issueDate'), nextUpdate: readDate(object, 'nextUpdate') };
  if (validity.issueDate > validity.nextUpdate) refuseJson('nextUpdate is before issueDate');
  return validity;
}

/** Bytes as hexadecimal, in the case that Intel happens to use. */
export function readHex(object: ClosedObject, key: string, bytes: number): Uint8Array {
  const text = object.matching(key, new RegExp(`^[0-9A-Fa-f]{${bytes * 2}}$`), `${bytes} bytes in hexadecimal`);
  return fromHex(text.toLowerCase(), key);
}

export function readStatus(object: ClosedObject): TcbStatus {
  return object.oneOf('tcbStatus', TCB_STATUSES);
}

export function readAdvisories(object: ClosedObject): readonly string[] {
  if (!object.has('advisoryIDs')) return [];
  return object.strings('advisoryIDs', MAX_ADVISORIES, MAX_ADVISORY_CHARACTERS);
}

function readDate(object: ClosedObject, key: string): Date {
  const text = object.matching(key, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'a time in UTC with seconds');
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) refuseJson(`${key} is not a time that exists`);
  return date;
}
