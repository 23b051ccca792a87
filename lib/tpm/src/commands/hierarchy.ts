// Commands on the TPM as a whole and on its hierarchies (TPM 2.0 Part 3).

import { TPM_RH, TPM_SU } from '../constants.ts';
import * as TPM_CC from './command-codes.ts';
import { command, handle, tpm2b, u16, u32, u8, type Authorization } from './frame.ts';
import type { CommandTemplate, HandlePart, TemplatePart } from './template.ts';

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

/** TPM2_GetCapability, Part 3 section 30.2. `capability` is a TPM_CAP, `property` where its list begins. */
export function getCapability(input: {
  readonly capability: number;
  readonly property: number;
  readonly propertyCount: number;
}): CommandTemplate {
  const { capability, property, propertyCount } = input;
  return command(TPM_CC.GetCapability, { parameters: [u32(capability), u32(property), u32(propertyCount)] });
}

/** TPM2_ReadClock, Part 3 section 29.2. Nothing signs the answer: see `getTime`. */
export function readClock(): CommandTemplate {
  return command(TPM_CC.ReadClock, {});
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

/** TPM2_HierarchyChangeAuth, Part 3 section 24.8. The new value crosses the bus in the clear. */
export function hierarchyChangeAuth(input: {
  readonly authHandle: number;
  readonly newAuth: TemplatePart;
  readonly authorization?: Authorization;
}): CommandTemplate {
  return command(TPM_CC.HierarchyChangeAuth, {
    handles: [input.authHandle],
    authorizations: [input.authorization ?? 'empty-password'],
    parameters: [tpm2b(input.newAuth)],
  });
}

/**
 * TPM2_ClearControl, Part 3 section 24.7: whether `clear` works. By lockout or platform, and to allow it again by the
 * platform alone.
 */
export function clearControl(input: { readonly authHandle: number; readonly disable: boolean }): CommandTemplate {
  return command(TPM_CC.ClearControl, {
    handles: [input.authHandle],
    authorizations: ['empty-password'],
    parameters: [u8(input.disable ? 1 : 0)],
  });
}

/** TPM2_Clear, Part 3 section 24.6: forgets what the owner keeps in it, and how often the TPM has started. */
export function clear(authHandle: number): CommandTemplate {
  return command(TPM_CC.Clear, { handles: [authHandle], authorizations: ['empty-password'] });
}

/** TPM2_SetCommandCodeAuditStatus, Part 3 section 21.2, by the owner: commands to audit from now on, and no more. */
export function setCommandCodeAuditStatus(input: {
  readonly auditAlg: number;
  readonly setList: readonly number[];
  readonly clearList: readonly number[];
}): CommandTemplate {
  const list = (codes: readonly number[]): TemplatePart[] => [u32(codes.length), ...codes.map((code) => u32(code))];
  return command(TPM_CC.SetCommandCodeAuditStatus, {
    handles: [TPM_RH.OWNER],
    authorizations: ['empty-password'],
    parameters: [u16(input.auditAlg), ...list(input.setList), ...list(input.clearList)],
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
