// The endorsement keys that TPMs are made with: TCG EK Credential Profile for TPM Family 2.0, version 2.5, annex B.

import { fromHex } from '@ringwall/bytes';
import { TPM_ALG, TPM_ECC, TPMA_OBJECT } from '../constants.ts';
import { encodePublic, type PublicFields } from '../structures/public-area.ts';

/** Of the low range. */
export const EK_ATTRIBUTES: number =
  TPMA_OBJECT.fixedTPM |
  TPMA_OBJECT.fixedParent |
  TPMA_OBJECT.sensitiveDataOrigin |
  TPMA_OBJECT.adminWithPolicy |
  TPMA_OBJECT.restricted |
  TPMA_OBJECT.decrypt;

/** Template L-1 and L-2 are the low range, H-n the high range. H-5, which is SM2, is not here. */
export type EkTemplateName = 'L-1' | 'L-2' | 'H-1' | 'H-2' | 'H-3' | 'H-4' | 'H-6' | 'H-7';

/**
 * The TPMT_PUBLIC that TPM2_CreatePrimary in the endorsement hierarchy is given for a standard EK. An EK certificate
 * carries its key alone: with this template around that key, the EK's Name can be computed.
 */
export function ekTemplateOf(name: EkTemplateName): Uint8Array<ArrayBuffer> {
  return encodePublic(TEMPLATES[name]);
}

const HIGH_ATTRIBUTES = EK_ATTRIBUTES | TPMA_OBJECT.userWithAuth;

/** PolicyA is PolicySecret(TPM_RH_ENDORSEMENT); PolicyB is PolicyA or what NV indices 0x01c07f01 to 3 hold. */
const POLICY_A_SHA256 = fromHex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa');
const POLICY_B_SHA256 = fromHex('ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0');
const POLICY_B_SHA384 = fromHex(
  'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
);
const POLICY_B_SHA512 = fromHex(
  'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a4' +
    '29c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
);

const EMPTY = new Uint8Array(0);
const NO_SCHEME = { scheme: TPM_ALG.NULL, hashAlg: 0 };

const TEMPLATES: Readonly<Record<EkTemplateName, PublicFields>> = {
  'L-1': rsa(2048, { ...low(), aesBits: 128, uniqueBytes: 256 }),
  'L-2': ecc(TPM_ECC.NIST_P256, { ...low(), aesBits: 128, uniqueBytes: 32 }),
  'H-1': rsa(2048, { ...high(TPM_ALG.SHA256, POLICY_B_SHA256), aesBits: 128, uniqueBytes: 0 }),
  'H-2': ecc(TPM_ECC.NIST_P256, { ...high(TPM_ALG.SHA256, POLICY_B_SHA256), aesBits: 128, uniqueBytes: 0 }),
  'H-3': ecc(TPM_ECC.NIST_P384, { ...high(TPM_ALG.SHA384, POLICY_B_SHA384), aesBits: 256, uniqueBytes: 0 }),
  'H-4': ecc(TPM_ECC.NIST_P521, { ...high(TPM_ALG.SHA512, POLICY_B_SHA512), aesBits: 256, uniqueBytes: 0 }),
  'H-6': rsa(3072, { ...high(TPM_ALG.SHA384, POLICY_B_SHA384), aesBits: 256, uniqueBytes: 0 }),
  'H-7': rsa(4096, { ...high(TPM_ALG.SHA384, POLICY_B_SHA384), aesBits: 256, uniqueBytes: 0 }),
};

interface Range {
  readonly nameAlg: number;
  readonly objectAttributes: number;
  readonly authPolicy: Uint8Array;
}

interface Sizes {
  readonly aesBits: number;
  /** Zeros in the low range, nothing in the high range: section B.3 and B.4. */
  readonly uniqueBytes: number;
}

function low(): Range {
  return { nameAlg: TPM_ALG.SHA256, objectAttributes: EK_ATTRIBUTES, authPolicy: POLICY_A_SHA256 };
}

function high(nameAlg: number, authPolicy: Uint8Array): Range {
  return { nameAlg, objectAttributes: HIGH_ATTRIBUTES, authPolicy };
}

function rsa(keyBits: number, { aesBits, uniqueBytes, ...range }: Range & Sizes): PublicFields {
  const symmetric = { algorithm: TPM_ALG.AES, keyBits: aesBits, mode: TPM_ALG.CFB };
  const parameters = { symmetric, scheme: NO_SCHEME, keyBits, exponent: 65_537 };
  return { type: TPM_ALG.RSA, ...range, parameters, unique: uniqueBytes === 0 ? EMPTY : new Uint8Array(uniqueBytes) };
}

function ecc(curveID: number, { aesBits, uniqueBytes, ...range }: Range & Sizes): PublicFields {
  const symmetric = { algorithm: TPM_ALG.AES, keyBits: aesBits, mode: TPM_ALG.CFB };
  const parameters = { symmetric, scheme: NO_SCHEME, curveID, kdf: NO_SCHEME };
  const coordinate = new Uint8Array(uniqueBytes);
  return { type: TPM_ALG.ECC, ...range, parameters, unique: { x: coordinate, y: coordinate } };
}
