// Commands that attest, and those on PCRs (TPM 2.0 Part 3).

import { TPM_ALG } from '../constants.ts';
import { TPM_CC } from './command-codes.ts';
import { encodePcrSelection } from '../structures/pcr-selection.ts';
import type { CommandTemplate, HandlePart, TemplatePart } from './template.ts';
import { command, tpm2b, u16, u32 } from './frame.ts';

/** TPM2_Quote, Part 3 section 18.4: SHA-256 PCRs, signed by the key's own scheme. */
export function quote(input: {
  readonly signHandle: HandlePart;
  readonly qualifyingData: TemplatePart;
  readonly pcrs: readonly number[];
}): CommandTemplate {
  return command(TPM_CC.Quote, {
    handles: [input.signHandle],
    authorizations: ['empty-password'],
    parameters: [tpm2b(input.qualifyingData), u16(TPM_ALG.NULL), encodePcrSelection(TPM_ALG.SHA256, input.pcrs)],
  });
}

/** TPM2_Certify, Part 3 section 18.2: both keys by their empty passwords, signed by the key's own scheme. */
export function certify(input: {
  readonly objectHandle: HandlePart;
  readonly signHandle: HandlePart;
  readonly qualifyingData: TemplatePart;
}): CommandTemplate {
  return command(TPM_CC.Certify, {
    handles: [input.objectHandle, input.signHandle],
    authorizations: ['empty-password', 'empty-password'],
    parameters: [tpm2b(input.qualifyingData), u16(TPM_ALG.NULL)],
  });
}

/** TPM2_PCR_Extend, Part 3 section 22.2, of the SHA-256 bank. `digest` has 32 bytes. */
export function pcrExtend(pcr: number, digest: TemplatePart): CommandTemplate {
  return command(TPM_CC.PCR_Extend, {
    handles: [pcr],
    authorizations: ['empty-password'],
    parameters: [u32(1), u16(TPM_ALG.SHA256), digest],
  });
}

/** TPM2_PCR_Read, Part 3 section 22.4, of the SHA-256 bank. One response holds at most 8 PCRs. */
export function pcrRead(pcrs: readonly number[]): CommandTemplate {
  return command(TPM_CC.PCR_Read, { parameters: [encodePcrSelection(TPM_ALG.SHA256, pcrs)] });
}
