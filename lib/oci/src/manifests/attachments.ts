// What is attached to an image in a registry: the list of it, and one such manifest, whose contents are no layers of a file system.
// OCI Image Specification 1.1, "Guidelines for Artifact Usage"; OCI Distribution Specification 1.1, "Listing Referrers".
import { isObject, listOf, malformed, objectOf, parseJsonObject, textOf } from './json.ts';
import { parseDescriptor, type Descriptor } from './manifest.ts';

/** Signatures, bills of materials, attestations, each anew for each build that ends in the same image. */
const MAX_REFERRERS = 1000;
const OCI_MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
/** Cosign's first form adds one for each time that somebody signs. */
const MAX_CONTENTS = 1000;

export interface Referrer extends Descriptor {
  /** What it is, as whoever attached it says; '' where they did not. */
  readonly artifactType: string;
}

/** Throws OciError. */
export function parseReferrers(bytes: Uint8Array): readonly Referrer[] {
  const what = 'list of referrers';
  const list = listOf(parseJsonObject(bytes, what), 'manifests', what);
  if (list.length > MAX_REFERRERS) throw malformed(what, `has more than ${String(MAX_REFERRERS)} entries`);
  return list.map((entry) => ({
    ...parseDescriptor(entry, what),
    artifactType: isObject(entry) ? textOf(entry, 'artifactType', what) : '',
  }));
}

/** A manifest that is of no image. */
export interface Attachment {
  readonly mediaType: string;
  /** What it says that it is attached to; '' where it does not, as in cosign's first form. */
  readonly subject: string;
  /** undefined where there is none. */
  readonly config: Descriptor | undefined;
  readonly contents: readonly Descriptor[];
}

/** Throws OciError. */
export function parseAttachment(bytes: Uint8Array): Attachment {
  const what = 'attached manifest';
  const document = parseJsonObject(bytes, what);
  const list = listOf(document, 'layers', what);
  if (list.length > MAX_CONTENTS) throw malformed(what, `has more than ${String(MAX_CONTENTS)} contents`);
  const descriptorAt = (key: string): Descriptor | undefined =>
    Object.hasOwn(document, key) ? parseDescriptor(objectOf(document, key, what), what) : undefined;
  return {
    mediaType: textOf(document, 'mediaType', what) || OCI_MANIFEST_TYPE,
    subject: descriptorAt('subject')?.digest ?? '',
    config: descriptorAt('config'),
    contents: list.map((entry) => parseDescriptor(entry, what)),
  };
}
