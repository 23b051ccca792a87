// The public names of @ringwall/oci.

export { ASK_FROM, BLOCK_FROM, compileLookalikes, type Lookalikes, type NameVerdict } from './lookalikes/judge-name.ts';
export type { NamePart, PartFinding } from './lookalikes/finding.ts';
export type { NameLists } from './lookalikes/known-names.ts';
export { OCI_ERROR_CODES, OciError, type OciErrorCode } from './oci-error.ts';
export { unicodeHost } from './references/host.ts';
export {
  canonicalName,
  canonicalReference,
  DEFAULT_DOMAIN,
  DEFAULT_TAG,
  familiarName,
  familiarReference,
  MAX_REFERENCE_CHARACTERS,
  parseDigest,
  parseReference,
  withDefaultTag,
  type Digest,
  type Reference,
} from './references/reference.ts';
export {
  compareVersions,
  isAffected,
  MAX_VERSION_CHARACTERS,
  schemeOfEcosystem,
  type RangeEvent,
  type VersionScheme,
} from './versions/compare.ts';
