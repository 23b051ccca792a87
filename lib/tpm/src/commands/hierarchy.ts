// Commands on the TPM as a whole and on its hierarchies (TPM 2.0 Part 3).

import { TPM_RH, TPM_SU } from '../constants.ts';
import { TPM_CC } from './command-codes.ts';
import { pcrBitmap } from '../structures/pcr-selection.ts';
import { joinParts, type CommandTemplate, type HandlePart } from './template.ts';
import { command, handle, u16, u32, u8 } from './frame.ts';

/** TPM2_Startup(CLEAR), Part 3 section 9.3. */
export function startup(): CommandTemplate {
  return command(TPM_CC.Startup, { parameters: [u16(TPM_SU.CLEAR)] });
}

/** TPM2_Shutdown(CLEAR), Part 3 section 9.4. */
export function shutdown(): CommandTemplate {
  return command(TPM_CC.Shutdown, { parameters: [u16(TPM_SU.CLEAR)] });
}

/** TPM2_SelfTest, Part 3 section 10.2: all algorithms, and wait for the result. */
export function selfTest(): CommandTemplate {
  return command(TPM_CC.SelfTest, { parameters: [u8(1)] });
}

/** TPM2_GetRandom, Part 3 section 16.1. A TPM gives at most the size of its largest digest at once. */
export function getRandom(bytesRequested: number): CommandTemplate {
  return command(TPM_CC.GetRandom, { parameters: [u16(bytesRequested)] });
}

/** TPM2_HierarchyControl, Part 3 section 24.2: switches `enable` on or off, authorized by `authHandle`. */
export function hierarchyControl(input: {
  readonly authHandle: number;
  readonly enable: number;
  readonly state: boolean;
}): CommandTemplate {
  return command(TPM_CC.HierarchyControl, {
    handles: [input.authHandle],
    authorizations: ['empty-password'],
    parameters: [u32(input.enable), u8(input.state ? 1 : 0)],
  });
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

/**
 * TPM2_EvictControl, Part 3 section 28.5: makes the transient object persistent at `persistentHandle`, or removes it
 * where `objectHandle` is persistent already.
 */
export function evictControl(input: {
  readonly authHandle: number;
  readonly objectHandle: HandlePart;
  readonly persistentHandle: number;
}): CommandTemplate {
  return command(TPM_CC.EvictControl, {
    handles: [input.authHandle, input.objectHandle],
    authorizations: ['empty-password'],
    parameters: [u32(input.persistentHandle)],
  });
}

/** TPM2_FlushContext, Part 3 section 28.4. The handle is a parameter here, not in the handle area. */
export function flushContext(flushHandle: HandlePart): CommandTemplate {
  return command(TPM_CC.FlushContext, { parameters: [handle(flushHandle)] });
}
