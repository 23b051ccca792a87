// Commands on NV indices (TPM 2.0 Part 3 section 31).

import { TPM_ALG, TPM_RH } from '../constants.ts';
import { encodeNvPublic } from '../structures/nv-public.ts';
import * as TPM_CC from './command-codes.ts';
import { command, tpm2b, u16, type Authorization } from './frame.ts';
import type { CommandTemplate, Slot, TemplatePart } from './template.ts';

/** Who authorizes a command on an index: by default the platform hierarchy with its empty value. */
interface NvAuthority {
  readonly nvIndex: number;
  /** TPM_RH_PLATFORM, TPM_RH_OWNER or the index itself. */
  readonly authHandle?: number;
  readonly authorization?: Authorization;
}

/** TPM2_NV_DefineSpace, Part 3 section 31.3: by default with an empty authorization value and policy, and SHA-256. */
export function nvDefineSpace(
  input: NvAuthority & {
    readonly attributes: number;
    readonly dataSize: number;
    readonly nameAlg?: number;
    readonly authPolicy?: Uint8Array;
    readonly auth?: TemplatePart;
  },
): CommandTemplate {
  const { nvIndex, attributes, dataSize, nameAlg = TPM_ALG.SHA256, authPolicy = new Uint8Array(0) } = input;
  return command(TPM_CC.NV_DefineSpace, {
    handles: [input.authHandle ?? TPM_RH.PLATFORM],
    authorizations: [input.authorization ?? 'empty-password'],
    parameters: [
      tpm2b(input.auth ?? new Uint8Array(0)),
      tpm2b(encodeNvPublic({ nvIndex, nameAlg, attributes, authPolicy, dataSize })),
    ],
  });
}

/** TPM2_NV_UndefineSpace, Part 3 section 31.4. */
export function nvUndefineSpace(input: NvAuthority): CommandTemplate {
  return onIndex(TPM_CC.NV_UndefineSpace, input);
}

/** TPM2_NV_Write, Part 3 section 31.7. At most 1,024 bytes at once (MAX_NV_BUFFER_SIZE). */
export function nvWrite(
  input: NvAuthority & { readonly data: TemplatePart; readonly offset: number },
): CommandTemplate {
  return onIndex(TPM_CC.NV_Write, input, tpm2b(input.data), u16(input.offset));
}

/** TPM2_NV_Increment, Part 3 section 31.8, of a counter. */
export function nvIncrement(input: NvAuthority): CommandTemplate {
  return onIndex(TPM_CC.NV_Increment, input);
}

/** TPM2_NV_Extend, Part 3 section 31.9. */
export function nvExtend(input: NvAuthority & { readonly data: TemplatePart }): CommandTemplate {
  return onIndex(TPM_CC.NV_Extend, input, tpm2b(input.data));
}

/** TPM2_NV_WriteLock, Part 3 section 31.11, authorized by the platform; for good where WRITEDEFINE is set. */
export function nvWriteLock(nvIndex: number): CommandTemplate {
  return onIndex(TPM_CC.NV_WriteLock, { nvIndex });
}

/** TPM2_NV_ReadPublic, Part 3 section 31.6. */
export function nvReadPublic(nvIndex: number): CommandTemplate {
  return command(TPM_CC.NV_ReadPublic, { handles: [nvIndex] });
}

/** TPM2_NV_Read, Part 3 section 31.13, by default with the index's own empty password. At most 1,024 bytes at once. */
export function nvRead(
  input: NvAuthority & { readonly size: number | Slot; readonly offset: number | Slot },
): CommandTemplate {
  const { authHandle = input.nvIndex } = input;
  return onIndex(TPM_CC.NV_Read, { ...input, authHandle }, count(input.size), count(input.offset));
}

function onIndex(commandCode: number, input: NvAuthority, ...parameters: readonly TemplatePart[]): CommandTemplate {
  return command(commandCode, {
    handles: [input.authHandle ?? TPM_RH.PLATFORM, input.nvIndex],
    authorizations: [input.authorization ?? 'empty-password'],
    parameters,
  });
}

/** A UINT16, or a hole of 2 bytes for it. */
function count(value: number | Slot): TemplatePart {
  return typeof value === 'number' ? u16(value) : value;
}
