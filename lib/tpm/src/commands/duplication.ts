// Commands that carry an object from one parent to another (TPM 2.0 Part 3 section 13).

import { Writer } from '@ringwall/bytes';
import { TPM_ALG } from '../constants.ts';
import { writeSymmetric, type TPMT_SYM_DEF_OBJECT } from '../structures/schemes.ts';
import * as TPM_CC from './command-codes.ts';
import { command, EMPTY_TPM2B, tpm2b, type Authorization } from './frame.ts';
import type { CommandTemplate, HandlePart, TemplatePart } from './template.ts';

/**
 * TPM2_Import, Part 3 section 13.3: takes in what `wrapForImport` made; `load` takes the answer. `encryptionKey` is that
 * of an inner wrapper.
 */
export function importObject(input: {
  readonly parentHandle: HandlePart;
  readonly encryptionKey?: TemplatePart;
  readonly objectPublic: TemplatePart;
  readonly duplicate: TemplatePart;
  readonly inSymSeed: TemplatePart;
  readonly symmetricAlg?: TPMT_SYM_DEF_OBJECT;
  readonly authorization?: Authorization;
}): CommandTemplate {
  return command(TPM_CC.Import, {
    handles: [input.parentHandle],
    authorizations: [input.authorization ?? 'empty-password'],
    parameters: [
      input.encryptionKey === undefined ? EMPTY_TPM2B : tpm2b(input.encryptionKey),
      tpm2b(input.objectPublic),
      tpm2b(input.duplicate),
      tpm2b(input.inSymSeed),
      symmetric(input.symmetricAlg),
    ],
  });
}

/** TPM2_Duplicate, Part 3 section 13.1, without an inner wrapper, by a policy session that names this command. */
export function duplicate(input: {
  readonly objectHandle: HandlePart;
  readonly newParentHandle: HandlePart;
  readonly policySession: HandlePart;
}): CommandTemplate {
  return command(TPM_CC.Duplicate, {
    handles: [input.objectHandle, input.newParentHandle],
    authorizations: [{ policySession: input.policySession }],
    parameters: [EMPTY_TPM2B, symmetric(undefined)],
  });
}

function symmetric(algorithm: TPMT_SYM_DEF_OBJECT | undefined): Uint8Array {
  const writer = new Writer();
  writeSymmetric(writer, algorithm ?? { algorithm: TPM_ALG.NULL, keyBits: 0, mode: 0 });
  return writer.finish();
}
