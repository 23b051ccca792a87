// Reference values with the word of somebody who stands for them: which firmware, kernel and image they are for, who says
// so, and until when. The format is "ringwall-reference/1"; docs in this package's README.
// The id names what is expected and for what, and neither who says it nor until when: the same artefacts give the same id
// whoever computed them, and a reference that is signed again after it expired is the same one.
import { fromHex, toHex } from '@ringwall/bytes';
import { digest } from '@ringwall/tpm';
import type { JsonValue } from './canonical-json.ts';
import { fails, holds, type Answer } from './checks.ts';
import { ClosedObject, deepFreeze } from './json.ts';
import { decodeJsonFile, encodeJsonFile } from './json-file.ts';
import { short } from './keys.ts';
import { CLOCK_SKEW_SECONDS, type Policy } from './policy.ts';
import {
  expectedEventJson,
  readArtefact,
  readExpectedEvents,
  refuseReference,
  type Artefact,
  type ExpectedEvent,
  type ReferenceValues,
} from './reference.ts';
import { POINT_BYTES, SIGNATURE_BYTES, signedText, verifySigned, type Signer } from './signer.ts';

export const REFERENCE_FORMAT = 'ringwall-reference/1';
/** 512 events of 300 bytes and 2,048 packages of 150, doubled; one of a direct boot has 6 KiB. */
export const MAX_REFERENCE_BYTES: number = 1024 * 1024;
const FILE = { what: 'reference', limitBytes: MAX_REFERENCE_BYTES, invalid: 'reference-invalid' } as const;
/** A Debian with a desktop has about 1,500. */
const MAX_PACKAGES = 2048;
const MAX_NAME_CHARACTERS = 128;
/** Beyond this, "expiring" means nothing. */
const MAX_LIFE_MS: number = 2 * 366 * 24 * 3600 * 1000;
const ID_TEXT = 'ringwall-reference-id/1';

/** A package whose files are in the image. */
export interface Package {
  readonly name: string;
  readonly version: string;
}

/** What is expected, and of which artefacts it is the measurement. */
export interface ReferenceContent {
  readonly for: {
    readonly firmware: Artefact;
    /** The kernel's file as it lies on disk, before QEMU writes into it. */
    readonly kernel: Artefact;
    readonly image: Artefact;
  };
  readonly events: readonly ExpectedEvent[];
  /** Where the image's files came from; empty where it is not known. */
  readonly packages: readonly Package[];
}

export interface UnsignedReference extends ReferenceContent {
  /** For people: who made it. The key is what counts. */
  readonly by: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface SignedReference extends UnsignedReference {
  readonly format: typeof REFERENCE_FORMAT;
  /** `ref_` and the SHA-256 of the content. */
  readonly id: string;
  /** P-256, X and Y. */
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
}

/** Throws EvidenceError where nobody could read the result. */
export async function signReference(unsigned: UnsignedReference, signer: Signer): Promise<SignedReference> {
  const reference = {
    ...unsigned,
    format: REFERENCE_FORMAT,
    id: await referenceId(unsigned),
    publicKey: new Uint8Array(signer.publicKey),
  } as const;
  const signature = await signer.sign(signingBytes(reference));
  return decodeReference(encodeReference({ ...reference, signature: new Uint8Array(signature) }));
}

/** The id of this content. */
export async function referenceId(content: ReferenceContent): Promise<string> {
  return `ref_${toHex(await digest('sha256', signedText(ID_TEXT, contentJson(content))))}`;
}

/** From JSON. It says only that the value has the form, nothing about its truth. Throws EvidenceError. */
export function parseSignedReference(value: unknown): SignedReference {
  const object = new ClosedObject(value, 'reference', refuseReference);
  const { by, publicKey } = readBy(object.object('by'));
  const about = object.object('for');
  const reference: SignedReference = {
    format: object.oneOf('format', [REFERENCE_FORMAT]),
    id: object.matching('id', /^ref_[0-9a-f]{64}$/, 'the id of reference values'),
    by,
    for: {
      firmware: readArtefact(about.object('firmware')),
      kernel: readArtefact(about.object('kernel')),
      image: readArtefact(about.object('image')),
    },
    events: readExpectedEvents(object),
    packages: object.array('packages', MAX_PACKAGES, (item, path) => readPackage(object.inner(item, path))),
    notBefore: readTime(object, 'notBefore'),
    notAfter: readTime(object, 'notAfter'),
    publicKey,
    signature: hexBytes(object, 'signature', SIGNATURE_BYTES),
  };
  about.end();
  object.end();
  const lifeMs = reference.notAfter.getTime() - reference.notBefore.getTime();
  if (lifeMs <= 0) refuseReference('reference.notAfter is not after notBefore');
  if (lifeMs > MAX_LIFE_MS) refuseReference('reference.notAfter is more than two years after notBefore');
  PARSED.add(deepFreeze(reference));
  return reference;
}

/** References that came out of the parser, frozen: they need not be read again, and their signature not be checked again. */
const PARSED = new WeakSet<SignedReference>();
const CHECKED = new WeakMap<SignedReference, Answer>();

/** The same where it came out of the parser, else a copy that does: a caller in JavaScript can hand in anything. */
export function parsedReference(given: SignedReference): SignedReference {
  return PARSED.has(given) ? given : parseSignedReference(referenceJson(given));
}

/** A reference from a file's text. Throws EvidenceError. */
export function decodeReference(input: string | Uint8Array): SignedReference {
  return parseSignedReference(decodeJsonFile(FILE, input));
}

/** As a file. Throws EvidenceError `too-large`. */
export function encodeReference(reference: SignedReference): string {
  return encodeJsonFile(FILE, referenceJson(reference));
}

export function referenceJson(reference: SignedReference): { readonly [key: string]: JsonValue } {
  return { ...claimsJson(reference), signature: toHex(reference.signature) };
}

/** Told from plain values by its format; whether it is well formed is `parsedReference`'s question. */
export function isSignedReference(reference: ReferenceValues | SignedReference): reference is SignedReference {
  return typeof reference === 'object' && reference !== null && 'format' in reference;
}

/** What a judge compares with. */
export function referenceValues(reference: ReferenceContent): ReferenceValues {
  return { version: 1, image: reference.for.image, firmware: reference.for.firmware, events: reference.events };
}

/** Whether id and signature are those of this content and of the key in it. Whose key that is, is another question. */
export async function checkReferenceSignature(reference: SignedReference): Promise<Answer> {
  // A broker judges by the same few references again and again. Only what came out of the parser is frozen, and can be.
  if (!PARSED.has(reference)) return checkSignature(reference);
  const known = CHECKED.get(reference);
  if (known !== undefined) return known;
  const answer = await checkSignature(reference);
  CHECKED.set(reference, answer);
  return answer;
}

async function checkSignature(reference: SignedReference): Promise<Answer> {
  if ((await referenceId(reference)) !== reference.id) {
    return fails('the id of the reference values is not that of their content');
  }
  if (!(await verifySigned(reference.publicKey, reference.signature, signingBytes(reference)))) {
    return fails('the signature of the reference values does not hold');
  }
  return holds(`signed by ${short(reference.publicKey)}`);
}

/** Whether they counted at `at`. */
export function checkReferenceTime(
  { notBefore, notAfter }: Pick<SignedReference, 'notBefore' | 'notAfter'>,
  at: Date,
): Answer {
  const seconds = Math.floor(at.getTime() / 1000);
  if (seconds + CLOCK_SKEW_SECONDS < notBefore.getTime() / 1000) {
    return fails(`the reference values count only from ${notBefore.toISOString()}`);
  }
  if (at.getTime() > notAfter.getTime()) return fails(`the reference values expired on ${notAfter.toISOString()}`);
  return holds(`until ${notAfter.toISOString()}`);
}

/** Whether the policy lets this signer, or this very reference, say what is expected. */
export function checkReferenceAuthority(policy: Policy, { id, publicKey }: SignedReference): Answer {
  if (policy.version === 1 || policy.references === undefined) return holds('the policy names no signer');
  const { signers, ids } = policy.references;
  if (ids.includes(id)) return holds(`the policy names ${short(id)}`);
  if (signers.includes(toHex(publicKey))) return holds(`the policy names the signer ${short(publicKey)}`);
  return fails(`the policy lets neither ${short(publicKey)} nor these very reference values say what is expected`);
}

function signingBytes(reference: Omit<SignedReference, 'signature'>): Uint8Array<ArrayBuffer> {
  return signedText(REFERENCE_FORMAT, claimsJson(reference));
}

function claimsJson(reference: Omit<SignedReference, 'signature'>): { readonly [key: string]: JsonValue } {
  return {
    format: reference.format,
    id: reference.id,
    by: { name: reference.by, publicKey: toHex(reference.publicKey) },
    ...contentJson(reference),
    notBefore: reference.notBefore.toISOString(),
    notAfter: reference.notAfter.toISOString(),
  };
}

function contentJson(content: ReferenceContent): { readonly [key: string]: JsonValue } {
  const artefact = (part: Artefact): JsonValue => ({ name: part.name, digest: part.digest });
  const { firmware, kernel, image } = content.for;
  return {
    for: { firmware: artefact(firmware), kernel: artefact(kernel), image: artefact(image) },
    events: content.events.map((event) => expectedEventJson(event)),
    packages: content.packages.map(({ name, version }) => ({ name, version })),
  };
}

function readBy(object: ClosedObject): { readonly by: string; readonly publicKey: Uint8Array } {
  const by = object.string('name', MAX_NAME_CHARACTERS);
  const publicKey = hexBytes(object, 'publicKey', POINT_BYTES);
  object.end();
  return { by, publicKey };
}

function readPackage(object: ClosedObject): Package {
  const parsed = {
    name: object.string('name', MAX_NAME_CHARACTERS),
    version: object.string('version', MAX_NAME_CHARACTERS),
  };
  object.end();
  return parsed;
}

/** As `toISOString` writes it, and in no other way. */
export function readTime(object: ClosedObject, key: string): Date {
  const text = object.string(key, 32);
  const at = new Date(text);
  const isTime = !Number.isNaN(at.getTime()) && at.toISOString() === text;
  return isTime ? at : object.refuse(key, 'is not a time as toISOString() writes it');
}

export function hexBytes(object: ClosedObject, key: string, bytes: number): Uint8Array {
  return fromHex(object.matching(key, new RegExp(`^[0-9a-f]{${bytes * 2}}$`), `${bytes} bytes in hexadecimal`));
}
