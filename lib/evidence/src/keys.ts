// Attestation key and boot key: what their public areas must say. An area is only a claim; the attestation key's becomes
// true by credential activation, the boot key's by the attestation key's certification of its Name.
import { concatBytes, equalBytes, KnownBytes, toHex, Writer } from '@ringwall/bytes';
import {
  attributesOf,
  digest,
  nameOf,
  parsePublic,
  policyPcrDigest,
  TPM_ALG,
  TPM_ECC,
  TPM_RH,
  type ObjectAttributes,
  type TPMT_PUBLIC_ECC,
} from '@ringwall/tpm';
import { fails, holds, type Answer } from './checks.ts';

export interface KeyClaim {
  readonly public: TPMT_PUBLIC_ECC;
  readonly name: Uint8Array;
}

/** The attributes that matter, and what each must be. Those not named here may be either. */
type Demanded = readonly (readonly [name: keyof ObjectAttributes, wanted: boolean])[];

const AK_DEMANDED: Demanded = [
  ['fixedTPM', true],
  ['fixedParent', true],
  ['sensitiveDataOrigin', true],
  ['restricted', true],
  ['sign', true],
  ['decrypt', false],
  ['encryptedDuplication', false],
];

/** Without userWithAuth and adminWithPolicy, only the policy opens it; restricted would be a storage key. */
const BOOT_KEY_DEMANDED: Demanded = [
  ['fixedTPM', true],
  ['fixedParent', true],
  ['sensitiveDataOrigin', true],
  ['decrypt', true],
  ['sign', false],
  ['restricted', false],
  ['userWithAuth', false],
  ['adminWithPolicy', false],
  ['encryptedDuplication', false],
];

/** A machine keeps its attestation key. Some 1 KiB each; a broker has some 10,000 machines. */
const MAX_KNOWN_AKS = 16_384;
const KNOWN_AKS = new KnownBytes<KeyClaim>(MAX_KNOWN_AKS);

/** ak-form. A claim all the same: that this TPM has the key is for others to show. */
export async function readAk(bytes: Uint8Array, what: string = 'attestation key'): Promise<KeyClaim | string> {
  const known = KNOWN_AKS.get(bytes);
  if (known !== undefined) return known;
  const ak = await readKey(bytes, what, TPM_ALG.ECDSA);
  if (typeof ak !== 'string') KNOWN_AKS.set(bytes, ak);
  return ak;
}

/** ak-form or boot-key-form: an ECC P-256 key with a SHA-256 Name and the scheme that is asked for. */
export async function readKey(bytes: Uint8Array, what: string, scheme: number): Promise<KeyClaim | string> {
  try {
    const area = parsePublic(bytes);
    if (area.type !== TPM_ALG.ECC || area.parameters.curveID !== TPM_ECC.NIST_P256) {
      return `the ${what} is not an ECC P-256 key`;
    }
    if (area.nameAlg !== TPM_ALG.SHA256) return `the ${what}’s Name is not made with SHA-256`;
    const expectedHash = scheme === TPM_ALG.NULL ? 0 : TPM_ALG.SHA256;
    const { scheme: found } = area.parameters;
    if (found.scheme !== scheme || found.hashAlg !== expectedHash) {
      return `the ${what}’s scheme is 0x${found.scheme.toString(16)} with hash 0x${found.hashAlg.toString(16)}`;
    }
    return { public: area, name: await nameOf(bytes) };
  } catch (error) {
    return `the ${what} cannot be read: ${messageOf(error)}`;
  }
}

/** ak-attributes. */
export function checkAkAttributes(ak: KeyClaim): Answer {
  return checkAttributes(ak, 'attestation key', AK_DEMANDED);
}

/** boot-key-attributes. */
export function checkBootKeyAttributes(bootKey: KeyClaim): Answer {
  return checkAttributes(bootKey, 'boot key', BOOT_KEY_DEMANDED);
}

/** boot-key-policy: TPM2_PolicyPCR over the demanded PCRs, in the state that the quote signed. */
export async function checkBootKeyPolicy(
  bootKey: KeyClaim,
  pcrs: readonly number[],
  quotedDigest: Uint8Array,
): Promise<Answer> {
  const expected = await policyPcrDigest(pcrs, quotedDigest);
  if (equalBytes(bootKey.public.authPolicy, expected)) return holds(`PolicyPCR ${short(expected)}`);
  return fails(
    `the boot key’s policy is ${short(bootKey.public.authPolicy)}, expected ${short(expected)} for the quoted PCRs`,
  );
}

/** boot-key-hierarchy: the qualified Name that the TPM certified is that of a primary key of the null hierarchy. */
export async function checkBootKeyHierarchy(bootKey: KeyClaim, qualifiedName: Uint8Array): Promise<Answer> {
  if (equalBytes(qualifiedName, await primaryQualifiedName(TPM_RH.NULL, bootKey.name))) {
    return holds('a primary key of the null hierarchy');
  }
  return fails('the boot key is not a primary key of the null hierarchy: it could outlive this boot');
}

/** Qualified Names of attestation keys; claims are made here, and never change. */
const SIGNERS = new WeakMap<KeyClaim, Uint8Array>();

/** quote-signer and certify-signer: the AK is a primary key of the endorsement hierarchy, as our guest makes it. */
export async function checkSigner(ak: KeyClaim, qualifiedSigner: Uint8Array, what: string): Promise<Answer> {
  const expected = SIGNERS.get(ak) ?? (await primaryQualifiedName(TPM_RH.ENDORSEMENT, ak.name));
  SIGNERS.set(ak, expected);
  if (equalBytes(qualifiedSigner, expected)) {
    return holds('signed by a primary key of the endorsement hierarchy');
  }
  return fails(
    `the ${what} does not name the attestation key, as a primary key of the endorsement hierarchy, as its signer`,
  );
}

const SHA256_ALGORITHM = new Writer().u16be(TPM_ALG.SHA256).finish();

/** Part 1 section 16: the qualified Name of a primary key is over its hierarchy's handle and its Name. */
export async function primaryQualifiedName(hierarchy: number, name: Uint8Array): Promise<Uint8Array> {
  const handle = new Writer().u32be(hierarchy).finish();
  return concatBytes(SHA256_ALGORITHM, await digest('sha256', concatBytes(handle, name)));
}

/** Enough of a digest for a person to tell two apart. */
export function short(bytes: Uint8Array | string): string {
  if (typeof bytes === 'string') return bytes.length <= 16 ? bytes : `${bytes.slice(0, 12)}…`;
  return bytes.length <= 8 ? toHex(bytes) : `${toHex(bytes.subarray(0, 6))}…`;
}

/** What this project's own libraries say about bytes: fields and numbers, nothing that the sender wrote. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 200) : 'unknown error';
}

function checkAttributes(key: KeyClaim, what: string, demanded: Demanded): Answer {
  const found = attributesOf(key.public);
  const wrong = demanded.filter(([name, wanted]) => found[name] !== wanted);
  if (wrong.length > 0) {
    const sentences = wrong.map(([name, wanted]) => (wanted ? `it is not ${name}` : `it is ${name}`));
    return fails(`the ${what} could act outside its TPM or its purpose: ${sentences.join(', ')}`);
  }
  return holds(demanded.flatMap(([name, wanted]) => (wanted ? [name] : [])).join(', '));
}
