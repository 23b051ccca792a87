// What TPMs answer: the frame, and for each command the fields in order, so that a shell and this library cut the
// same bytes by one description (TPM 2.0 Part 1 section 18, Part 3).

import { Cursor } from '@ringwall/bytes';
import { TPM_ST } from '../constants.ts';
import { responseError } from './response-codes.ts';
import type { TpmError } from '../tpm-error.ts';

/** tag, responseSize, responseCode: Part 1 section 18.2. */
export const RESPONSE_HEADER_BYTES = 10;
/** The largest response of libtpms (MAX_RESPONSE_SIZE); also what the guest reads at once. */
export const MAX_RESPONSE_BYTES = 4096;

/** A field of a response: so many bytes, or a TPM2B (2 bytes of length, then content), or all up to the end. */
export type ResponseFieldKind = number | 'tpm2b' | 'rest';

/** The fields of a response in order, behind its header, `parameterSize` included where a session is used. */
export type ResponseLayout = readonly (readonly [name: string, kind: ResponseFieldKind])[];

/** A response whose frame is right. `body` is what follows the header. */
export type Response =
  | { readonly ok: true; readonly sessions: boolean; readonly body: Uint8Array }
  | { readonly ok: false; readonly error: TpmError };

/**
 * The answer to each command that has one worth reading. A command with an authorization has `parameterSize` (4 bytes)
 * before its parameters and its session area, `authorization`, behind them.
 */
export const RESPONSE_LAYOUTS = {
  getRandom: [['randomBytes', 'tpm2b']],
  createPrimary: [
    ['objectHandle', 4],
    ['parameterSize', 4],
    ['outPublic', 'tpm2b'],
    ['creationData', 'tpm2b'],
    ['creationHash', 'tpm2b'],
    ['creationTicketTag', 2],
    ['creationTicketHierarchy', 4],
    ['creationTicketDigest', 'tpm2b'],
    ['name', 'tpm2b'],
    ['authorization', 'rest'],
  ],
  readPublic: [
    ['outPublic', 'tpm2b'],
    ['name', 'tpm2b'],
    ['qualifiedName', 'tpm2b'],
  ],
  loadExternal: [
    ['objectHandle', 4],
    ['name', 'tpm2b'],
  ],
  verifySignature: [
    ['validationTag', 2],
    ['validationHierarchy', 4],
    ['validationDigest', 'tpm2b'],
  ],
  activateCredential: [
    ['parameterSize', 4],
    ['certInfo', 'tpm2b'],
    ['authorization', 'rest'],
  ],
  ecdhZGen: [
    ['parameterSize', 4],
    ['pointSize', 2],
    ['x', 'tpm2b'],
    ['y', 'tpm2b'],
    ['authorization', 'rest'],
  ],
  startAuthSession: [
    ['sessionHandle', 4],
    ['nonceTPM', 'tpm2b'],
  ],
  policyGetDigest: [['policyDigest', 'tpm2b']],
  quote: [
    ['parameterSize', 4],
    ['quoted', 'tpm2b'],
    ['signatureAndAuthorization', 'rest'],
  ],
  certify: [
    ['parameterSize', 4],
    ['certifyInfo', 'tpm2b'],
    ['signatureAndAuthorization', 'rest'],
  ],
  pcrRead: [
    ['pcrUpdateCounter', 4],
    ['selectionsAndDigests', 'rest'],
  ],
  nvReadPublic: [
    ['nvPublicSize', 2],
    ['nvIndex', 4],
    ['nameAlg', 2],
    ['attributes', 4],
    ['authPolicy', 'tpm2b'],
    ['dataSize', 2],
    ['nvName', 'tpm2b'],
  ],
  nvRead: [
    ['parameterSize', 4],
    ['data', 'tpm2b'],
    ['authorization', 'rest'],
  ],
} as const;

type Layouts = typeof RESPONSE_LAYOUTS;

/** The fields of one response by name; a TPM2B without its length. */
export type ResponseFields<Name extends keyof Layouts> = Readonly<Record<Layouts[Name][number][0], Uint8Array>>;

/**
 * The frame of a response: `ok: false` with the decoded code where the TPM refused. Throws `ParseError` where the
 * bytes are no TPM 2.0 response at all.
 */
export function parseResponse(bytes: Uint8Array): Response {
  const cursor = new Cursor(bytes);
  const tag = cursor.u16be('tag');
  const responseSize = cursor.u32be('responseSize');
  if (responseSize > MAX_RESPONSE_BYTES) {
    throw cursor.error('limit', 'responseSize', `${responseSize}, expected at most ${MAX_RESPONSE_BYTES}`);
  }
  if (responseSize !== bytes.length) {
    throw cursor.error('invalid', 'responseSize', `${responseSize}, expected ${bytes.length}, the bytes at hand`);
  }
  const responseCode = cursor.u32be('responseCode');
  if (responseCode !== 0) return { ok: false, error: responseError(responseCode) };
  if (tag !== TPM_ST.SESSIONS && tag !== TPM_ST.NO_SESSIONS) {
    throw cursor.error('invalid', 'tag', `0x${tag.toString(16)}, expected 0x8001 or 0x8002`);
  }
  return { ok: true, sessions: tag === TPM_ST.SESSIONS, body: cursor.rest('body') };
}

/** What follows the header of a response, or the `TpmError` thrown where the TPM refused. */
export function bodyOf(bytes: Uint8Array): Uint8Array {
  const response = parseResponse(bytes);
  if (!response.ok) throw response.error;
  return response.body;
}

/** The fields of the response to one command. Throws `TpmError` where the TPM refused, else `ParseError`. */
export function parseFields<Name extends keyof Layouts>(name: Name, bytes: Uint8Array): ResponseFields<Name> {
  const cursor = new Cursor(bodyOf(bytes), RESPONSE_HEADER_BYTES);
  const layout: ResponseLayout = RESPONSE_LAYOUTS[name];
  const fields: Record<string, Uint8Array> = {};
  for (const [field, kind] of layout) {
    if (kind === 'rest') fields[field] = cursor.rest(field);
    else fields[field] = cursor.take(kind === 'tpm2b' ? cursor.u16be(`${field}.size`) : kind, field);
  }
  cursor.end(name);
  if (!hasFields(name, fields)) throw cursor.error('invalid', name, 'lacks a field of its layout');
  return fields;
}

function hasFields<Name extends keyof Layouts>(
  name: Name,
  fields: Readonly<Record<string, Uint8Array>>,
): fields is ResponseFields<Name> {
  return RESPONSE_LAYOUTS[name].every(([field]) => field in fields);
}
