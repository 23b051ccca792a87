// Answers of the commands on objects (TPM 2.0 Part 3 sections 12 to 15, 20 and 24).

import type { Cursor } from '@ringwall/bytes';
import { parsePublic, type TPMT_PUBLIC } from '../structures/public-area.ts';
import { readSignature, type TPMT_SIGNATURE } from '../structures/signature.ts';
import { MAX_DIGEST_BYTES, MAX_ECC_BYTES, MAX_NAME_BYTES, MAX_SYM_DATA_BYTES, readSized } from '../structures/sized.ts';
import { readTicket, type TPMT_TK } from '../structures/ticket.ts';
import type { AnswerReader } from './answer.ts';

/** What is in one response, MAX_RESPONSE_SIZE, is all that a TPM2B can hold. */
const MAX_BLOB_BYTES = 4096;

export interface CreationAnswer {
  readonly outPublic: TPMT_PUBLIC;
  /** TPMS_CREATION_DATA: see `parseCreationData`. */
  readonly creationData: Uint8Array;
  readonly creationHash: Uint8Array;
  readonly creationTicket: TPMT_TK;
}

export const createPrimary: AnswerReader<
  CreationAnswer & { readonly objectHandle: number; readonly name: Uint8Array }
> = {
  handle: true,
  read: (parameters, objectHandle) => ({
    objectHandle,
    ...readCreation(parameters),
    name: readSized(parameters, 'name', MAX_NAME_BYTES),
  }),
};

export const create: AnswerReader<CreationAnswer & { readonly outPrivate: Uint8Array }> = {
  handle: false,
  read: (parameters) => ({
    outPrivate: readSized(parameters, 'outPrivate', MAX_BLOB_BYTES),
    ...readCreation(parameters),
  }),
};

/** TPM2_Load and TPM2_LoadExternal. */
export const loaded: AnswerReader<{ readonly objectHandle: number; readonly name: Uint8Array }> = {
  handle: true,
  read: (parameters, objectHandle) => ({ objectHandle, name: readSized(parameters, 'name', MAX_NAME_BYTES) }),
};

export const readPublic: AnswerReader<{
  readonly outPublic: TPMT_PUBLIC;
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
}> = {
  handle: false,
  read: (parameters) => ({
    outPublic: readPublicArea(parameters),
    name: readSized(parameters, 'name', MAX_NAME_BYTES),
    qualifiedName: readSized(parameters, 'qualifiedName', MAX_NAME_BYTES),
  }),
};

export const activateCredential: AnswerReader<{ readonly certInfo: Uint8Array }> = {
  handle: false,
  read: (parameters) => ({ certInfo: readSized(parameters, 'certInfo', MAX_DIGEST_BYTES) }),
};

export const unseal: AnswerReader<{ readonly outData: Uint8Array }> = {
  handle: false,
  read: (parameters) => ({ outData: readSized(parameters, 'outData', MAX_SYM_DATA_BYTES) }),
};

export const ecdhZGen: AnswerReader<{ readonly x: Uint8Array; readonly y: Uint8Array }> = {
  handle: false,
  read: (parameters) => {
    const point = parameters.sub(parameters.u16be('outPoint.size'), 'outPoint');
    const x = readSized(point, 'x', MAX_ECC_BYTES);
    const y = readSized(point, 'y', MAX_ECC_BYTES);
    point.end('outPoint');
    return { x, y };
  },
};

export const importObject: AnswerReader<{ readonly outPrivate: Uint8Array }> = {
  handle: false,
  read: (parameters) => ({ outPrivate: readSized(parameters, 'outPrivate', MAX_BLOB_BYTES) }),
};

export const duplicate: AnswerReader<{
  readonly encryptionKeyOut: Uint8Array;
  readonly duplicate: Uint8Array;
  readonly outSymSeed: Uint8Array;
}> = {
  handle: false,
  read: (parameters) => ({
    encryptionKeyOut: readSized(parameters, 'encryptionKeyOut', 32),
    duplicate: readSized(parameters, 'duplicate', MAX_BLOB_BYTES),
    outSymSeed: readSized(parameters, 'outSymSeed', MAX_BLOB_BYTES),
  }),
};

export const verified: AnswerReader<{ readonly validation: TPMT_TK }> = {
  handle: false,
  read: (parameters) => ({ validation: readTicket(parameters) }),
};

export const sign: AnswerReader<{ readonly signature: TPMT_SIGNATURE }> = {
  handle: false,
  read: (parameters) => ({ signature: readSignature(parameters) }),
};

export const hmac: AnswerReader<{ readonly outHMAC: Uint8Array }> = {
  handle: false,
  read: (parameters) => ({ outHMAC: readSized(parameters, 'outHMAC', MAX_DIGEST_BYTES) }),
};

export const encryptDecrypt2: AnswerReader<{ readonly outData: Uint8Array; readonly ivOut: Uint8Array }> = {
  handle: false,
  read: (parameters) => ({
    outData: readSized(parameters, 'outData', MAX_BLOB_BYTES),
    ivOut: readSized(parameters, 'ivOut', 16),
  }),
};

function readCreation(parameters: Cursor): CreationAnswer {
  return {
    outPublic: readPublicArea(parameters),
    creationData: readSized(parameters, 'creationData', MAX_BLOB_BYTES),
    creationHash: readSized(parameters, 'creationHash', MAX_DIGEST_BYTES),
    creationTicket: readTicket(parameters),
  };
}

function readPublicArea(parameters: Cursor): TPMT_PUBLIC {
  return parsePublic(readSized(parameters, 'outPublic', MAX_BLOB_BYTES));
}
