// Answers about the TPM itself: PCRs, NV indices, sessions, clock, capabilities (TPM 2.0 Part 3).

import { readTimeInfo, type TPMS_TIME_INFO } from '../structures/clock-info.ts';
import { parseNvPublic, type TPMS_NV_PUBLIC } from '../structures/nv-public.ts';
import { readPcrSelections, type TPMS_PCR_SELECTION } from '../structures/pcr-selection.ts';
import { MAX_DIGEST_BYTES, MAX_NAME_BYTES, MAX_NV_BUFFER_BYTES, readSized, readYesNo } from '../structures/sized.ts';
import { readTicket, type TPMT_TK } from '../structures/ticket.ts';
import type { AnswerReader } from './answer.ts';

/** TPML_DIGEST, Part 2 section 10.9.4: at most 8. */
const MAX_DIGESTS = 8;
/** TPMS_NV_PUBLIC with the largest policy: 4 + 2 + 4 + 66 + 2 bytes. */
const MAX_NV_PUBLIC_BYTES = 78;

export const getRandom: AnswerReader<{ readonly randomBytes: Uint8Array }> = {
  handle: false,
  read: (parameters) => ({ randomBytes: readSized(parameters, 'randomBytes', MAX_DIGEST_BYTES) }),
};

/** `data` is the TPMU_CAPABILITIES of `capability`, a list that each kind of capability has another form of. */
export const getCapability: AnswerReader<{
  readonly moreData: boolean;
  readonly capability: number;
  readonly data: Uint8Array;
}> = {
  handle: false,
  read: (parameters) => ({
    moreData: readYesNo(parameters, 'moreData'),
    capability: parameters.u32be('capability'),
    data: parameters.rest('data'),
  }),
};

export const readClock: AnswerReader<{ readonly currentTime: TPMS_TIME_INFO }> = {
  handle: false,
  read: (parameters) => ({ currentTime: readTimeInfo(parameters) }),
};

export const pcrRead: AnswerReader<{
  readonly pcrUpdateCounter: number;
  readonly pcrSelectionOut: readonly TPMS_PCR_SELECTION[];
  /** In the order of `pcrSelectionOut`. */
  readonly pcrValues: readonly Uint8Array[];
}> = {
  handle: false,
  read: (parameters) => {
    const pcrUpdateCounter = parameters.u32be('pcrUpdateCounter');
    const pcrSelectionOut = readPcrSelections(parameters, 'pcrSelectionOut');
    const count = parameters.u32be('pcrValues.count');
    if (count > MAX_DIGESTS) {
      throw parameters.error('limit', 'pcrValues.count', `${count}, expected at most ${MAX_DIGESTS}`);
    }
    const pcrValues = Array.from({ length: count }, () => readSized(parameters, 'pcrValues', MAX_DIGEST_BYTES));
    return { pcrUpdateCounter, pcrSelectionOut, pcrValues };
  },
};

/** False where the TPM has no room for such banks. */
export const pcrAllocate: AnswerReader<{ readonly allocationSuccess: boolean }> = {
  handle: false,
  read: (parameters) => {
    const allocationSuccess = readYesNo(parameters, 'allocationSuccess');
    // maxPCR, sizeNeeded and sizeAvailable, Part 3 section 22.5.2.
    parameters.skip(12, 'sizes');
    return { allocationSuccess };
  },
};

export const nvReadPublic: AnswerReader<{ readonly nvPublic: TPMS_NV_PUBLIC; readonly nvName: Uint8Array }> = {
  handle: false,
  read: (parameters) => ({
    nvPublic: parseNvPublic(readSized(parameters, 'nvPublic', MAX_NV_PUBLIC_BYTES)),
    nvName: readSized(parameters, 'nvName', MAX_NAME_BYTES),
  }),
};

export const nvRead: AnswerReader<{ readonly data: Uint8Array }> = {
  handle: false,
  read: (parameters) => ({ data: readSized(parameters, 'data', MAX_NV_BUFFER_BYTES) }),
};

export const startAuthSession: AnswerReader<{ readonly sessionHandle: number; readonly nonceTPM: Uint8Array }> = {
  handle: true,
  read: (parameters, sessionHandle) => ({
    sessionHandle,
    nonceTPM: readSized(parameters, 'nonceTPM', MAX_DIGEST_BYTES),
  }),
};

export const policyGetDigest: AnswerReader<{ readonly policyDigest: Uint8Array }> = {
  handle: false,
  read: (parameters) => ({ policyDigest: readSized(parameters, 'policyDigest', MAX_DIGEST_BYTES) }),
};

/** TPM2_PolicySecret and TPM2_PolicySigned; the timeout is the TPM's own affair. */
export const policyTicket: AnswerReader<{ readonly timeout: Uint8Array; readonly policyTicket: TPMT_TK }> = {
  handle: false,
  read: (parameters) => ({ timeout: readSized(parameters, 'timeout', 8), policyTicket: readTicket(parameters) }),
};
