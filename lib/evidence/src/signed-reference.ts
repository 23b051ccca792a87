// Reference values with the word of somebody who stands for them: which firmware, kernel and image they are for, who says
// so, and until when. The format is "ringwall-reference/1"; docs in this package's README.
import { toHex } from '@ringwall/bytes';
import type { JsonValue } from './canonical-json.ts';
import { fails, holds, type Answer } from './checks.ts';
import type { ClosedObject } from './json.ts';
import { short } from './keys.ts';
import type { Policy } from './policy.ts';
import { ManifestFormat, type SignedBy, type Vouched } from './reference-manifest.ts';
import {
  expectedEventJson,
  readArtefact,
  readExpectedEvents,
  type Artefact,
  type ExpectedEvent,
  type ReferenceValues,
} from './reference.ts';
import type { Signer } from './signer.ts';

export const REFERENCE_FORMAT = 'ringwall-reference/1';
/** 512 events of 300 bytes and 2,048 packages of 150, doubled; one of a direct boot has 6 KiB. */
export const MAX_REFERENCE_BYTES: number = 1024 * 1024;
/** A Debian with a desktop has about 1,500. */
const MAX_PACKAGES = 2048;
const MAX_NAME_CHARACTERS = 128;

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

export interface UnsignedReference extends ReferenceContent, Vouched {}

/** Its id begins with `ref_`. */
export interface SignedReference extends ReferenceContent, SignedBy<typeof REFERENCE_FORMAT> {}

const MANIFEST = new ManifestFormat<typeof REFERENCE_FORMAT, ReferenceContent>({
  format: REFERENCE_FORMAT,
  words: { file: 'reference', values: 'the reference values' },
  id: { prefix: 'ref_', text: 'ringwall-reference-id/1' },
  limitBytes: MAX_REFERENCE_BYTES,
  json: contentJson,
  read: readContent,
});

/** Throws EvidenceError where nobody could read the result. */
export function signReference(unsigned: UnsignedReference, signer: Signer): Promise<SignedReference> {
  return MANIFEST.sign(unsigned, signer);
}

/** The id of this content. */
export function referenceId(content: ReferenceContent): Promise<string> {
  return MANIFEST.idOf(content);
}

/** From JSON. It says only that the value has the form, nothing about its truth. Throws EvidenceError. */
export function parseSignedReference(value: unknown): SignedReference {
  return MANIFEST.parse(value);
}

/** The same where it came out of the parser, else a copy that does: a caller in JavaScript can hand in anything. */
export function parsedReference(given: SignedReference): SignedReference {
  return MANIFEST.parsed(given);
}

/** A reference from a file's text. Throws EvidenceError. */
export function decodeReference(input: string | Uint8Array): SignedReference {
  return MANIFEST.decode(input);
}

/** As a file. Throws EvidenceError `too-large`. */
export function encodeReference(reference: SignedReference): string {
  return MANIFEST.encode(reference);
}

export function referenceJson(reference: SignedReference): { readonly [key: string]: JsonValue } {
  return MANIFEST.json(reference);
}

/** Whether id and signature are those of this content and of the key in it. Whose key that is, is another question. */
export function checkReferenceSignature(reference: SignedReference): Promise<Answer> {
  return MANIFEST.checkSignature(reference);
}

/** Told from plain values by its format; whether it is well formed is `parsedReference`'s question. */
export function isSignedReference(reference: ReferenceValues | SignedReference): reference is SignedReference {
  return typeof reference === 'object' && reference !== null && 'format' in reference;
}

/** What a judge compares with. */
export function referenceValues(reference: ReferenceContent): ReferenceValues {
  return { version: 1, image: reference.for.image, firmware: reference.for.firmware, events: reference.events };
}

/** Whether the policy lets this signer, or this very reference, say what is expected. */
export function checkReferenceAuthority(policy: Policy, { id, publicKey }: SignedReference): Answer {
  if (policy.version === 1 || policy.references === undefined) return holds('the policy names no signer');
  const { signers, ids } = policy.references;
  if (ids.includes(id)) return holds(`the policy names ${short(id)}`);
  if (signers.includes(toHex(publicKey))) return holds(`the policy names the signer ${short(publicKey)}`);
  return fails(`the policy lets neither ${short(publicKey)} nor these very reference values say what is expected`);
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

function readContent(object: ClosedObject): ReferenceContent {
  const about = object.object('for');
  const content = {
    for: {
      firmware: readArtefact(about.object('firmware')),
      kernel: readArtefact(about.object('kernel')),
      image: readArtefact(about.object('image')),
    },
    events: readExpectedEvents(object),
    packages: object.array('packages', MAX_PACKAGES, (item, path) => readPackage(object.inner(item, path))),
  };
  about.end();
  return content;
}

function readPackage(object: ClosedObject): Package {
  const parsed = {
    name: object.string('name', MAX_NAME_CHARACTERS),
    version: object.string('version', MAX_NAME_CHARACTERS),
  };
  object.end();
  return parsed;
}
