// What is attached to an image in a registry: the list of it, and one such manifest, whose contents are no layers of a file system.
// OCI Image Specification 1.1, "Guidelines for Artifact Usage"; OCI Distribution Specification 1.1, "Listing Referrers".
import { isObject, listOf, malformed, parseJsonObject, textOf } from './json.ts';
import { parseDescriptor, type Descriptor } from './manifest.ts';

/** Signatures, bills of materials, attestations, each anew for each build that ends in the same image. */
const MAX_REFERRERS = 1000;
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

/** The contents of a manifest that is of no image. Throws OciError. */
export function parseAttachment(bytes: Uint8Array): readonly Descriptor[] {
  const what = 'attached manifest';
  const list = listOf(parseJsonObject(bytes, what), 'layers', what);
  if (list.length > MAX_CONTENTS) throw malformed(what, `has more than ${String(MAX_CONTENTS)} contents`);
  return list.map((entry) => parseDescriptor(entry, what));
}
