// Commands that attest (TPM 2.0 Part 3 section 18), each signed by the key's own scheme where none is given.

import { TPM_RH } from '../constants.ts';
import { encodePcrChoice, type PcrChoice } from '../structures/pcr-selection.ts';
import type { TPMT_ASYM_SCHEME } from '../structures/schemes.ts';
import { writeTicket, type TPMT_TK } from '../structures/ticket.ts';
import * as TPM_CC from './command-codes.ts';
import { command, sigScheme, tpm2b, u16, type Authorization } from './frame.ts';
import type { CommandTemplate, HandlePart, TemplatePart } from './template.ts';
import { Writer } from '@ringwall/bytes';

/** What every attestation takes: who signs, and what the verifier wants to find in `extraData`. */
interface Attestation {
  readonly signHandle: HandlePart;
  readonly qualifyingData: TemplatePart;
  readonly inScheme?: TPMT_ASYM_SCHEME;
  readonly signAuthorization?: Authorization;
}

/** TPM2_Certify, Part 3 section 18.2. */
export function certify(
  input: Attestation & { readonly objectHandle: HandlePart; readonly objectAuthorization?: Authorization },
): CommandTemplate {
  return command(TPM_CC.Certify, {
    handles: [input.objectHandle, input.signHandle],
    authorizations: [input.objectAuthorization ?? 'empty-password', input.signAuthorization ?? 'empty-password'],
    parameters: [tpm2b(input.qualifyingData), sigScheme(input.inScheme)],
  });
}

/** TPM2_CertifyCreation, Part 3 section 18.3. Hash and ticket are those that TPM2_Create or CreatePrimary gave. */
export function certifyCreation(
  input: Attestation & {
    readonly objectHandle: HandlePart;
    readonly creationHash: TemplatePart;
    readonly creationTicket: TPMT_TK;
  },
): CommandTemplate {
  return command(TPM_CC.CertifyCreation, {
    handles: [input.signHandle, input.objectHandle],
    authorizations: [input.signAuthorization ?? 'empty-password'],
    parameters: [
      tpm2b(input.qualifyingData),
      tpm2b(input.creationHash),
      sigScheme(input.inScheme),
      writeTicket(new Writer(), input.creationTicket).finish(),
    ],
  });
}

/** TPM2_Quote, Part 3 section 18.4. */
export function quote(input: Attestation & { readonly pcrs: PcrChoice }): CommandTemplate {
  return command(TPM_CC.Quote, {
    handles: [input.signHandle],
    authorizations: [input.signAuthorization ?? 'empty-password'],
    parameters: [tpm2b(input.qualifyingData), sigScheme(input.inScheme), encodePcrChoice(input.pcrs)],
  });
}

/** TPM2_GetSessionAuditDigest, Part 3 section 18.5, by the endorsement hierarchy as privacy administrator. */
export function getSessionAuditDigest(input: Attestation & { readonly sessionHandle: HandlePart }): CommandTemplate {
  return command(TPM_CC.GetSessionAuditDigest, {
    handles: [TPM_RH.ENDORSEMENT, input.signHandle, input.sessionHandle],
    authorizations: ['empty-password', input.signAuthorization ?? 'empty-password'],
    parameters: [tpm2b(input.qualifyingData), sigScheme(input.inScheme)],
  });
}

/** TPM2_GetCommandAuditDigest, Part 3 section 18.6, by the endorsement hierarchy as privacy administrator. */
export function getCommandAuditDigest(input: Attestation): CommandTemplate {
  return command(TPM_CC.GetCommandAuditDigest, {
    handles: [TPM_RH.ENDORSEMENT, input.signHandle],
    authorizations: ['empty-password', input.signAuthorization ?? 'empty-password'],
    parameters: [tpm2b(input.qualifyingData), sigScheme(input.inScheme)],
  });
}

/** TPM2_GetTime, Part 3 section 18.7, by the endorsement hierarchy as privacy administrator. */
export function getTime(input: Attestation): CommandTemplate {
  return command(TPM_CC.GetTime, {
    handles: [TPM_RH.ENDORSEMENT, input.signHandle],
    authorizations: ['empty-password', input.signAuthorization ?? 'empty-password'],
    parameters: [tpm2b(input.qualifyingData), sigScheme(input.inScheme)],
  });
}

/**
 * TPM2_NV_Certify, Part 3 section 31.16, authorized by the index's own value. With size and offset 0 a TPM of revision
 * 1.59 certifies the digest of the whole index.
 */
export function nvCertify(
  input: Attestation & {
    readonly nvIndex: number;
    readonly size: number;
    readonly offset: number;
    readonly nvAuthorization?: Authorization;
  },
): CommandTemplate {
  return command(TPM_CC.NV_Certify, {
    handles: [input.signHandle, input.nvIndex, input.nvIndex],
    authorizations: [input.signAuthorization ?? 'empty-password', input.nvAuthorization ?? 'empty-password'],
    parameters: [tpm2b(input.qualifyingData), sigScheme(input.inScheme), u16(input.size), u16(input.offset)],
  });
}
