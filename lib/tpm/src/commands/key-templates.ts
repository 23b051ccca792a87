// The public areas (TPMT_PUBLIC) of the keys that Ringwall makes, all ECC P-256, and where they are kept.

import { Writer } from '@ringwall/bytes';
import { TPM_ALG, TPM_ECC, TPM_NT, TPMA_NV, TPMA_OBJECT } from '../constants.ts';
import { ekTemplateOf } from './ek-templates.ts';
import { EMPTY_TPM2B, tpm2b } from './frame.ts';
import { joinParts, type CommandTemplate, type TemplatePart } from './template.ts';

/** Handle of the persistent ECC P-256 EK, in the range that TCG's registry of reserved handles gives to EKs. */
export const EK_HANDLE = 0x8101_0002;
/** NV index of the ECC P-256 EK certificate, low range: TCG EK Credential Profile 2.5 section 2.2.1.4. */
export const EK_CERTIFICATE_NV_INDEX = 0x01c0_000a;
/** One TPM2_NV_Read or NV_Write carries no more (MAX_NV_BUFFER_SIZE of libtpms). */
export const MAX_EK_CERTIFICATE_BYTES = 1024;
/**
 * Only the platform hierarchy, which firmware closes before a guest runs, may write or remove the certificate; anyone
 * may read it. WRITEDEFINE lets the maker lock it for good.
 */
export const EK_CERTIFICATE_NV_ATTRIBUTES: number =
  TPMA_NV.PLATFORMCREATE |
  TPMA_NV.NO_DA |
  TPMA_NV.AUTHREAD |
  TPMA_NV.OWNERREAD |
  TPMA_NV.PPREAD |
  TPMA_NV.WRITEDEFINE |
  TPMA_NV.PPWRITE;

/**
 * A counter of the owner's range that the guest counts up now and then. What it counts to is asked by nobody: a TPM that
 * writes it writes its clock down with it, so that a power cut cannot make it forget how late it was.
 */
export const NOTE_NV_INDEX = 0x0150_0017;
export const NOTE_NV_ATTRIBUTES: number = TPMA_NV.AUTHWRITE | TPMA_NV.AUTHREAD | TPMA_NV.NO_DA | TPM_NT.COUNTER;
/** Of a counter, Part 1 section 37.2.4. */
export const NOTE_NV_BYTES = 8;

/**
 * The SHA-256 PCRs that a quote must cover and that the boot key's policy names: all of a static boot but 10, which is
 * the Linux integrity measurement's and changes with every file that runs.
 */
export const DEMANDED_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];
/** What a quote of the watch covers: the same, and what Linux has measured since. */
export const WATCHED_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/** What the guest extends after unlocking, so that no policy over `DEMANDED_PCRS` holds any more in this boot. */
export const UNLOCKED_PCR = 15;

export const AK_ATTRIBUTES: number =
  TPMA_OBJECT.fixedTPM |
  TPMA_OBJECT.fixedParent |
  TPMA_OBJECT.sensitiveDataOrigin |
  TPMA_OBJECT.userWithAuth |
  TPMA_OBJECT.noDA |
  TPMA_OBJECT.restricted |
  TPMA_OBJECT.sign;

/**
 * No userWithAuth: the policy is the only way to decrypt with this key. No adminWithPolicy: TPM2_Certify needs none.
 * noDA: without it, certifying marks the TPM as "used under dictionary attack protection", each power cut then counts
 * as a failed try, and after a few no key could be certified (TPM 2.0 Part 1 section 19.8).
 */
export const BOOT_KEY_ATTRIBUTES: number =
  TPMA_OBJECT.fixedTPM |
  TPMA_OBJECT.fixedParent |
  TPMA_OBJECT.sensitiveDataOrigin |
  TPMA_OBJECT.noDA |
  TPMA_OBJECT.decrypt;

/** The EK that Ringwall makes: template L-2 (ECC NIST P-256, SHA-256, AES-128-CFB). */
export function ekTemplate(): Uint8Array<ArrayBuffer> {
  return ekTemplateOf('L-2');
}

/** The AK: restricted, so that it signs only what the TPM itself says; the same key at each boot of one TPM. */
export function akTemplate(): Uint8Array<ArrayBuffer> {
  return new Writer()
    .u16be(TPM_ALG.ECC)
    .u16be(TPM_ALG.SHA256)
    .u32be(AK_ATTRIBUTES)
    .u16be(0)
    .u16be(TPM_ALG.NULL)
    .u16be(TPM_ALG.ECDSA)
    .u16be(TPM_ALG.SHA256)
    .u16be(TPM_ECC.NIST_P256)
    .u16be(TPM_ALG.NULL)
    .u16be(0)
    .u16be(0)
    .finish();
}

/**
 * The boot key, made in the null hierarchy: it dies with this boot and works only while `authPolicy` (32 bytes, a
 * PolicyPCR digest) holds. `unique` (32 bytes each, random) makes it another key each time.
 */
export function bootKeyTemplate(
  authPolicy: TemplatePart,
  unique: { readonly x: TemplatePart; readonly y: TemplatePart },
): CommandTemplate {
  const head = new Writer().u16be(TPM_ALG.ECC).u16be(TPM_ALG.SHA256).u32be(BOOT_KEY_ATTRIBUTES).finish();
  const parameters = new Writer()
    .u16be(TPM_ALG.NULL)
    .u16be(TPM_ALG.NULL)
    .u16be(TPM_ECC.NIST_P256)
    .u16be(TPM_ALG.NULL)
    .finish();
  return joinParts(head, tpm2b(authPolicy), parameters, tpm2b(unique.x), tpm2b(unique.y));
}

/** A P-256 key of somebody else, which the TPM shall verify ECDSA-SHA256 signatures with (32 bytes each). */
export function verifyKeyTemplate(point: { readonly x: TemplatePart; readonly y: TemplatePart }): CommandTemplate {
  const head = new Writer()
    .u16be(TPM_ALG.ECC)
    .u16be(TPM_ALG.SHA256)
    .u32be(TPMA_OBJECT.userWithAuth | TPMA_OBJECT.sign)
    .bytes(EMPTY_TPM2B)
    .u16be(TPM_ALG.NULL)
    .u16be(TPM_ALG.ECDSA)
    .u16be(TPM_ALG.SHA256)
    .u16be(TPM_ECC.NIST_P256)
    .u16be(TPM_ALG.NULL)
    .finish();
  return joinParts(head, tpm2b(point.x), tpm2b(point.y));
}
