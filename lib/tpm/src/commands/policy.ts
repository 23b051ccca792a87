// The policy commands (TPM 2.0 Part 3 section 23): each extends the digest of a session, and says what must hold.

import { Writer } from '@ringwall/bytes';
import { TPM_RH, TPM_ST } from '../constants.ts';
import type { Comparison } from '../policies/policy.ts';
import { encodePcrChoice, type PcrChoice } from '../structures/pcr-selection.ts';
import { encodeSignature, type TPMT_SIGNATURE } from '../structures/signature.ts';
import { writeTicket, type TPMT_TK } from '../structures/ticket.ts';
import * as TPM_CC from './command-codes.ts';
import { command, EMPTY_TPM2B, tpm2b, u16, u32, u8, type Authorization } from './frame.ts';
import type { CommandTemplate, HandlePart, TemplatePart } from './template.ts';

const EMPTY = new Uint8Array(0);
const NO_TICKET: TPMT_TK = { tag: TPM_ST.VERIFIED, hierarchy: TPM_RH.NULL, digest: EMPTY };

/** TPM2_PolicyPCR, Part 3 section 23.7; with an empty digest the TPM takes the PCRs as they are now. */
export function policyPcr(
  policySession: HandlePart,
  pcrs: PcrChoice,
  pcrDigest: TemplatePart = EMPTY,
): CommandTemplate {
  return onSession(TPM_CC.PolicyPCR, policySession, tpm2b(pcrDigest), encodePcrChoice(pcrs));
}

/**
 * TPM2_PolicySecret, Part 3 section 23.4: proves the authorization value of `authHandle`, empty by default, without
 * expiration.
 */
export function policySecret(
  authHandle: HandlePart,
  policySession: HandlePart,
  options: { readonly policyRef?: TemplatePart; readonly authorization?: Authorization } = {},
): CommandTemplate {
  return command(TPM_CC.PolicySecret, {
    handles: [authHandle, policySession],
    authorizations: [options.authorization ?? 'empty-password'],
    parameters: [EMPTY_TPM2B, EMPTY_TPM2B, tpm2b(options.policyRef ?? EMPTY), u32(0)],
  });
}

/**
 * TPM2_PolicySigned, Part 3 section 23.3: `auth` is over nonceTPM, expiration, cpHash and policyRef. With an empty nonce
 * and cpHash and expiration 0 it serves any session for ever.
 */
export function policySigned(input: {
  readonly authObject: HandlePart;
  readonly policySession: HandlePart;
  readonly nonceTPM?: TemplatePart;
  readonly cpHash?: TemplatePart;
  readonly policyRef?: TemplatePart;
  readonly expirationSeconds?: number;
  readonly auth: TPMT_SIGNATURE;
}): CommandTemplate {
  return command(TPM_CC.PolicySigned, {
    handles: [input.authObject, input.policySession],
    parameters: [
      tpm2b(input.nonceTPM ?? EMPTY),
      tpm2b(input.cpHash ?? EMPTY),
      tpm2b(input.policyRef ?? EMPTY),
      u32((input.expirationSeconds ?? 0) >>> 0),
      encodeSignature(input.auth),
    ],
  });
}

/** TPM2_PolicyAuthorize, Part 3 section 23.16. A trial session looks at the Name alone. */
export function policyAuthorize(input: {
  readonly policySession: HandlePart;
  readonly approvedPolicy?: TemplatePart;
  readonly policyRef?: TemplatePart;
  readonly keySign: TemplatePart;
  readonly checkTicket?: TPMT_TK;
}): CommandTemplate {
  return onSession(
    TPM_CC.PolicyAuthorize,
    input.policySession,
    tpm2b(input.approvedPolicy ?? EMPTY),
    tpm2b(input.policyRef ?? EMPTY),
    tpm2b(input.keySign),
    writeTicket(new Writer(), input.checkTicket ?? NO_TICKET).finish(),
  );
}

/** TPM2_PolicyAuthorizeNV, Part 3 section 23.22. */
export function policyAuthorizeNv(input: {
  readonly nvIndex: number;
  readonly policySession: HandlePart;
  readonly authHandle?: number;
  readonly authorization?: Authorization;
}): CommandTemplate {
  return command(TPM_CC.PolicyAuthorizeNV, {
    handles: [input.authHandle ?? input.nvIndex, input.nvIndex, input.policySession],
    authorizations: [input.authorization ?? 'empty-password'],
  });
}

/** TPM2_PolicyNV, Part 3 section 23.9, read by the index's own value where no other authority is given. */
export function policyNv(
  input: Comparison & {
    readonly nvIndex: number;
    readonly policySession: HandlePart;
    readonly authHandle?: number;
    readonly authorization?: Authorization;
  },
): CommandTemplate {
  return command(TPM_CC.PolicyNV, {
    handles: [input.authHandle ?? input.nvIndex, input.nvIndex, input.policySession],
    authorizations: [input.authorization ?? 'empty-password'],
    parameters: [tpm2b(input.operandB), u16(input.offset), u16(input.operation)],
  });
}

/** TPM2_PolicyCounterTimer, Part 3 section 23.10. */
export function policyCounterTimer(policySession: HandlePart, comparison: Comparison): CommandTemplate {
  const { operandB, offset, operation } = comparison;
  return onSession(TPM_CC.PolicyCounterTimer, policySession, tpm2b(operandB), u16(offset), u16(operation));
}

/** TPM2_PolicyOR, Part 3 section 23.6. */
export function policyOr(policySession: HandlePart, digests: readonly TemplatePart[]): CommandTemplate {
  return onSession(TPM_CC.PolicyOR, policySession, u32(digests.length), ...digests.map((digest) => tpm2b(digest)));
}

/** TPM2_PolicyCommandCode, Part 3 section 23.11. */
export function policyCommandCode(policySession: HandlePart, commandCode: number): CommandTemplate {
  return onSession(TPM_CC.PolicyCommandCode, policySession, u32(commandCode));
}

/** TPM2_PolicyLocality, Part 3 section 23.8. */
export function policyLocality(policySession: HandlePart, locality: number): CommandTemplate {
  return onSession(TPM_CC.PolicyLocality, policySession, u8(locality));
}

/** TPM2_PolicyAuthValue, Part 3 section 23.17: the command is then to carry an HMAC with the object's value. */
export function policyAuthValue(policySession: HandlePart): CommandTemplate {
  return onSession(TPM_CC.PolicyAuthValue, policySession);
}

/** TPM2_PolicyPassword, Part 3 section 23.18: the command is then to carry the object's value itself. */
export function policyPassword(policySession: HandlePart): CommandTemplate {
  return onSession(TPM_CC.PolicyPassword, policySession);
}

/** TPM2_PolicyPhysicalPresence, Part 3 section 23.12. */
export function policyPhysicalPresence(policySession: HandlePart): CommandTemplate {
  return onSession(TPM_CC.PolicyPhysicalPresence, policySession);
}

/** TPM2_PolicyNvWritten, Part 3 section 23.20. */
export function policyNvWritten(policySession: HandlePart, written: boolean): CommandTemplate {
  return onSession(TPM_CC.PolicyNvWritten, policySession, u8(written ? 1 : 0));
}

/** TPM2_PolicyCpHash, Part 3 section 23.13. */
export function policyCpHash(policySession: HandlePart, cpHash: TemplatePart): CommandTemplate {
  return onSession(TPM_CC.PolicyCpHash, policySession, tpm2b(cpHash));
}

/** TPM2_PolicyNameHash, Part 3 section 23.14. */
export function policyNameHash(policySession: HandlePart, nameHash: TemplatePart): CommandTemplate {
  return onSession(TPM_CC.PolicyNameHash, policySession, tpm2b(nameHash));
}

/** TPM2_PolicyTemplate, Part 3 section 23.21. */
export function policyTemplate(policySession: HandlePart, templateHash: TemplatePart): CommandTemplate {
  return onSession(TPM_CC.PolicyTemplate, policySession, tpm2b(templateHash));
}

/**
 * TPM2_PolicyDuplicationSelect, Part 3 section 23.15. The session then serves `objectName` alone; only with
 * `includeObject` is that object's Name part of the digest.
 */
export function policyDuplicationSelect(
  policySession: HandlePart,
  input: {
    readonly objectName: TemplatePart;
    readonly newParentName: TemplatePart;
    readonly includeObject: boolean;
  },
): CommandTemplate {
  return onSession(
    TPM_CC.PolicyDuplicationSelect,
    policySession,
    tpm2b(input.objectName),
    tpm2b(input.newParentName),
    u8(input.includeObject ? 1 : 0),
  );
}

function onSession(
  commandCode: number,
  policySession: HandlePart,
  ...parameters: readonly TemplatePart[]
): CommandTemplate {
  return command(commandCode, { handles: [policySession], parameters });
}
