// Commands on PCRs (TPM 2.0 Part 3 section 22).

import { TPM_ALG, TPM_RH } from '../constants.ts';
import { encodePcrChoice, pcrBitmap, type PcrChoice } from '../structures/pcr-selection.ts';
import * as TPM_CC from './command-codes.ts';
import { command, u16, u32, u8 } from './frame.ts';
import { joinParts, type CommandTemplate, type TemplatePart } from './template.ts';

/** TPM2_PCR_Extend, Part 3 section 22.2, of the SHA-256 bank. `digest` has 32 bytes. */
export function pcrExtend(pcr: number, digest: TemplatePart): CommandTemplate {
  return command(TPM_CC.PCR_Extend, {
    handles: [pcr],
    authorizations: ['empty-password'],
    parameters: [u32(1), u16(TPM_ALG.SHA256), digest],
  });
}

/** TPM2_PCR_Read, Part 3 section 22.4. One response holds at most 8 PCRs. */
export function pcrRead(pcrs: PcrChoice): CommandTemplate {
  return command(TPM_CC.PCR_Read, { parameters: [encodePcrChoice(pcrs)] });
}

/** TPM2_PCR_Reset, Part 3 section 22.8: 16 and 23 from any locality. */
export function pcrReset(pcr: number): CommandTemplate {
  return command(TPM_CC.PCR_Reset, { handles: [pcr], authorizations: ['empty-password'] });
}

/**
 * TPM2_PCR_Allocate, Part 3 section 22.5, in the platform hierarchy: each bank of `banks` with the PCRs it shall have
 * from the next Startup on; an empty list switches that bank off.
 */
export function pcrAllocate(
  banks: readonly { readonly hash: number; readonly pcrs: readonly number[] }[],
): CommandTemplate {
  const selections = banks.map((bank) => joinParts(u16(bank.hash), u8(pcrBitmap([]).length), pcrBitmap(bank.pcrs)));
  return command(TPM_CC.PCR_Allocate, {
    handles: [TPM_RH.PLATFORM],
    authorizations: ['empty-password'],
    parameters: [u32(banks.length), ...selections],
  });
}
