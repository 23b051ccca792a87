// Commands that make, load and use keys (TPM 2.0 Part 3).

import { TPM_ALG, TPM_RH } from '../constants.ts';
import { TPM_CC } from './command-codes.ts';
import { joinParts, type CommandTemplate, type HandlePart, type TemplatePart } from './template.ts';
import { command, EMPTY_TPM2B, tpm2b, u16, u32 } from './frame.ts';

/**
 * TPM2_CreatePrimary, Part 3 section 24.1: empty authorization value, no outside data, no creation PCRs. `inPublic` is
 * a TPMT_PUBLIC, for example `akTemplate()`.
 */
export function createPrimary(primaryHandle: number, inPublic: TemplatePart): CommandTemplate {
  // TPM2B_SENSITIVE_CREATE of an empty userAuth and empty data, Part 2 section 11.1.15 f.
  const inSensitive = tpm2b(joinParts(EMPTY_TPM2B, EMPTY_TPM2B));
  return command(TPM_CC.CreatePrimary, {
    handles: [primaryHandle],
    authorizations: ['empty-password'],
    parameters: [inSensitive, tpm2b(inPublic), EMPTY_TPM2B, u32(0)],
  });
}

/** TPM2_ReadPublic, Part 3 section 12.4. */
export function readPublic(objectHandle: HandlePart): CommandTemplate {
  return command(TPM_CC.ReadPublic, { handles: [objectHandle] });
}

/** TPM2_LoadExternal, Part 3 section 12.3, of a public area alone, into the null hierarchy. */
export function loadExternal(inPublic: TemplatePart): CommandTemplate {
  return command(TPM_CC.LoadExternal, { parameters: [EMPTY_TPM2B, tpm2b(inPublic), u32(TPM_RH.NULL)] });
}

/** TPM2_VerifySignature, Part 3 section 20.1, of an ECDSA signature over a SHA-256 digest. */
export function verifySignature(input: {
  readonly keyHandle: HandlePart;
  readonly digest: TemplatePart;
  readonly r: TemplatePart;
  readonly s: TemplatePart;
}): CommandTemplate {
  return command(TPM_CC.VerifySignature, {
    handles: [input.keyHandle],
    parameters: [tpm2b(input.digest), u16(TPM_ALG.ECDSA), u16(TPM_ALG.SHA256), tpm2b(input.r), tpm2b(input.s)],
  });
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
