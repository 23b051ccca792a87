// Commands that make, load and open objects (TPM 2.0 Part 3 sections 12, 14 and 24).

import { TPM_RH } from '../constants.ts';
import { encodePcrSelections, type TPMS_PCR_SELECTION } from '../structures/pcr-selection.ts';
import * as TPM_CC from './command-codes.ts';
import { command, EMPTY_TPM2B, tpm2b, u32, type Authorization } from './frame.ts';
import { joinParts, type CommandTemplate, type HandlePart, type TemplatePart } from './template.ts';

/** What may be given besides the public area of a new object; all of it is empty by default. */
interface CreationOptions {
  readonly authorization?: Authorization;
  readonly userAuth?: TemplatePart;
  /** The data to seal, where the object is to hold some. */
  readonly data?: TemplatePart;
  readonly outsideInfo?: TemplatePart;
  readonly creationPcrs?: readonly TPMS_PCR_SELECTION[];
}

/**
 * TPM2_CreatePrimary, Part 3 section 24.1: by default an empty authorization value, no outside data, no creation PCRs.
 * `inPublic` is a TPMT_PUBLIC, for example `akTemplate()`.
 */
export function createPrimary(
  primaryHandle: number,
  inPublic: TemplatePart,
  options: CreationOptions = {},
): CommandTemplate {
  return command(TPM_CC.CreatePrimary, {
    handles: [primaryHandle],
    authorizations: [options.authorization ?? 'empty-password'],
    parameters: creationParameters(inPublic, options),
  });
}

/** TPM2_Create, Part 3 section 12.1: a child of `parentHandle`, given back wrapped; `load` takes it. */
export function create(
  parentHandle: HandlePart,
  inPublic: TemplatePart,
  options: CreationOptions = {},
): CommandTemplate {
  return command(TPM_CC.Create, {
    handles: [parentHandle],
    authorizations: [options.authorization ?? 'empty-password'],
    parameters: creationParameters(inPublic, options),
  });
}

/** TPM2_Load, Part 3 section 12.2. `inPrivate` is what stands inside TPM2B_PRIVATE. */
export function load(input: {
  readonly parentHandle: HandlePart;
  readonly inPrivate: TemplatePart;
  readonly inPublic: TemplatePart;
  readonly authorization?: Authorization;
}): CommandTemplate {
  return command(TPM_CC.Load, {
    handles: [input.parentHandle],
    authorizations: [input.authorization ?? 'empty-password'],
    parameters: [tpm2b(input.inPrivate), tpm2b(input.inPublic)],
  });
}

/** TPM2_LoadExternal, Part 3 section 12.3, of a public area alone, into the null hierarchy or another. */
export function loadExternal(inPublic: TemplatePart, hierarchy: number = TPM_RH.NULL): CommandTemplate {
  return command(TPM_CC.LoadExternal, { parameters: [EMPTY_TPM2B, tpm2b(inPublic), u32(hierarchy)] });
}

/** TPM2_ReadPublic, Part 3 section 12.4. */
export function readPublic(objectHandle: HandlePart): CommandTemplate {
  return command(TPM_CC.ReadPublic, { handles: [objectHandle] });
}

/**
 * TPM2_ActivateCredential, Part 3 section 12.5. The key that is certified is authorized by its empty password, the EK
 * by a policy session that satisfied PolicySecret(TPM_RH_ENDORSEMENT). `credentialBlob` is what stands inside
 * TPM2B_ID_OBJECT, `secret` what stands inside TPM2B_ENCRYPTED_SECRET.
 */
export function activateCredential(input: {
  readonly activateHandle: HandlePart;
  readonly keyHandle: HandlePart;
  readonly policySession: HandlePart;
  readonly credentialBlob: TemplatePart;
  readonly secret: TemplatePart;
}): CommandTemplate {
  return command(TPM_CC.ActivateCredential, {
    handles: [input.activateHandle, input.keyHandle],
    authorizations: ['empty-password', { policySession: input.policySession }],
    parameters: [tpm2b(input.credentialBlob), tpm2b(input.secret)],
  });
}

/** TPM2_Unseal, Part 3 section 12.7. */
export function unseal(itemHandle: HandlePart, authorization: Authorization = 'empty-password'): CommandTemplate {
  return command(TPM_CC.Unseal, { handles: [itemHandle], authorizations: [authorization] });
}

/** TPM2_ECDH_ZGen, Part 3 section 14.5: the shared point of the key and of (x, y), authorized by a policy session. */
export function ecdhZGen(input: {
  readonly keyHandle: HandlePart;
  readonly policySession: HandlePart;
  readonly x: TemplatePart;
  readonly y: TemplatePart;
}): CommandTemplate {
  return command(TPM_CC.ECDH_ZGen, {
    handles: [input.keyHandle],
    authorizations: [{ policySession: input.policySession }],
    parameters: [tpm2b(joinParts(tpm2b(input.x), tpm2b(input.y)))],
  });
}

/** TPM2B_SENSITIVE_CREATE, Part 2 section 11.1.16, then public area, outside data and creation PCRs. */
function creationParameters(inPublic: TemplatePart, options: CreationOptions): readonly TemplatePart[] {
  const empty = new Uint8Array(0);
  return [
    tpm2b(joinParts(tpm2b(options.userAuth ?? empty), tpm2b(options.data ?? empty))),
    tpm2b(inPublic),
    tpm2b(options.outsideInfo ?? empty),
    encodePcrSelections(options.creationPcrs ?? []),
  ];
}
