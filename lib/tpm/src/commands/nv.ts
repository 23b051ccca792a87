// Commands on NV indices (TPM 2.0 Part 3 section 31).

import { TPM_ALG, TPM_RH } from '../constants.ts';
import { TPM_CC } from './command-codes.ts';
import { joinParts, type CommandTemplate, type Slot, type TemplatePart } from './template.ts';
import { command, EMPTY_TPM2B, tpm2b, u16, u32 } from './frame.ts';

/** TPM2_NV_DefineSpace, Part 3 section 31.3, in the platform hierarchy, with an empty authorization value. */
export function nvDefineSpace(input: {
  readonly nvIndex: number;
  readonly attributes: number;
  readonly dataSize: number;
}): CommandTemplate {
  const publicInfo = joinParts(
    u32(input.nvIndex),
    u16(TPM_ALG.SHA256),
    u32(input.attributes),
    EMPTY_TPM2B,
    u16(input.dataSize),
  );
  return command(TPM_CC.NV_DefineSpace, {
    handles: [TPM_RH.PLATFORM],
    authorizations: ['empty-password'],
    parameters: [EMPTY_TPM2B, tpm2b(publicInfo)],
  });
}

/** TPM2_NV_Write, Part 3 section 31.7, authorized by the platform. At most 1,024 bytes at once (MAX_NV_BUFFER_SIZE). */
export function nvWrite(input: {
  readonly nvIndex: number;
  readonly data: TemplatePart;
  readonly offset: number;
}): CommandTemplate {
  return command(TPM_CC.NV_Write, {
    handles: [TPM_RH.PLATFORM, input.nvIndex],
    authorizations: ['empty-password'],
    parameters: [tpm2b(input.data), u16(input.offset)],
  });
}

/** TPM2_NV_WriteLock, Part 3 section 31.11, authorized by the platform; for good where WRITEDEFINE is set. */
export function nvWriteLock(nvIndex: number): CommandTemplate {
  return command(TPM_CC.NV_WriteLock, { handles: [TPM_RH.PLATFORM, nvIndex], authorizations: ['empty-password'] });
}

/** TPM2_NV_ReadPublic, Part 3 section 31.6. */
export function nvReadPublic(nvIndex: number): CommandTemplate {
  return command(TPM_CC.NV_ReadPublic, { handles: [nvIndex] });
}

/** TPM2_NV_Read, Part 3 section 31.13, authorized by the index's own empty password. At most 1,024 bytes at once. */
export function nvRead(input: {
  readonly nvIndex: number;
  readonly size: number | Slot;
  readonly offset: number | Slot;
}): CommandTemplate {
  return command(TPM_CC.NV_Read, {
    handles: [input.nvIndex, input.nvIndex],
    authorizations: ['empty-password'],
    parameters: [count(input.size), count(input.offset)],
  });
}

/** A UINT16, or a hole of 2 bytes for it. */
function count(value: number | Slot): TemplatePart {
  return typeof value === 'number' ? u16(value) : value;
}
