// References of container images: `nginx`, `ghcr.io/owner/name:tag@sha256:…`, parsed and normalised as Docker, containerd
// and Podman do. Grammar and default names: distribution/reference (`reference.go`, `normalize.go`); repository names and
// tags also in the OCI Distribution Specification 1.1, "Pulling manifests"; digests in the OCI Image Specification 1.1.
//
// Deviations, each so that one image has one name: a host of several labels is lower case, an IPv6 address is in its
// RFC 5952 form, a port has no leading zeros and exists, hosts in other alphabets become punycode.
import { normaliseDomain } from './host.ts';
import { refused, shown } from './refused.ts';

export const DEFAULT_DOMAIN = 'docker.io';
export const DEFAULT_TAG = 'latest';
/** Where Docker Hub keeps the images that have no namespace of their own. */
export const OFFICIAL_NAMESPACE = 'library';
/** The former name of the default registry. */
const LEGACY_DEFAULT_DOMAIN = 'index.docker.io';

/** `RepositoryNameTotalLengthMax` of distribution/reference: the path, without its domain. */
const MAX_PATH_CHARACTERS = 255;
const MAX_TAG_CHARACTERS = 128;
/** Domain, path, tag and digest at their longest, and room for a domain that shrinks in punycode. Bounds all work here. */
export const MAX_REFERENCE_CHARACTERS = 1024;

/** Characters of the encoded part, by algorithm: those that registries know (OCI Image Specification, "Registered algorithms"). */
const DIGEST_HEX_CHARACTERS: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

const PATH_COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]*$/;
const LOWER_HEX = /^[0-9a-f]+$/;
/** What `docker` takes for the id of an image on this host, never for a name. */
const IDENTIFIER = /^[0-9a-f]{64}$/;

export interface Digest {
  readonly algorithm: string;
  readonly hex: string;
}

export interface Reference {
  /** Host and, where one is given, port: `docker.io`, `registry.example:5000`, `[::1]:5000`. */
  readonly domain: string;
  /** The repository within the registry: `library/nginx`. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

/** Throws OciError `reference`, and nothing else. */
export function parseReference(text: string): Reference {
  if (text.length > MAX_REFERENCE_CHARACTERS) {
    throw refused(`reference has ${text.length} characters, at most ${MAX_REFERENCE_CHARACTERS}`);
  }
  if (text === '') throw refused('reference is empty');
  if (IDENTIFIER.test(text)) throw refused('64 hexadecimal digits are the id of an image, not its name');
  if (text.includes('://')) throw refused('reference begins with a scheme: write it without');
  const { domain, remainder } = splitDomain(text);
  const at = remainder.indexOf('@');
  const named = at < 0 ? remainder : remainder.slice(0, at);
  const digest = at < 0 ? undefined : parseDigest(remainder.slice(at + 1));
  const colon = named.indexOf(':');
  const tag = colon < 0 ? undefined : checkedTag(named.slice(colon + 1));
  const name = checkedPath(colon < 0 ? named : named.slice(0, colon));
  const path = domain === DEFAULT_DOMAIN && !name.includes('/') ? `${OFFICIAL_NAMESPACE}/${name}` : name;
  if (path.length > MAX_PATH_CHARACTERS) {
    throw refused(`repository has ${path.length} characters, at most ${MAX_PATH_CHARACTERS}`);
  }
  return { domain, path, tag, digest };
}

/** `sha256:…`, also as manifests write it. Throws OciError `reference`. */
export function parseDigest(text: string): Digest {
  const colon = text.indexOf(':');
  const algorithm = text.slice(0, Math.max(0, colon));
  const hex = text.slice(colon + 1);
  const expected = Object.hasOwn(DIGEST_HEX_CHARACTERS, algorithm) ? DIGEST_HEX_CHARACTERS[algorithm] : undefined;
  if (expected === undefined) {
    throw refused(
      `digest algorithm “${shown(algorithm)}”, expected one of ${Object.keys(DIGEST_HEX_CHARACTERS).join(', ')}`,
    );
  }
  if (hex.length !== expected || !LOWER_HEX.test(hex)) {
    throw refused(`digest ${algorithm} has ${expected} lower-case hexadecimal digits, not “${shown(hex)}”`);
  }
  return { algorithm, hex };
}

/** The whole name, which no default can change: `docker.io/library/nginx:1.29`. */
export function canonicalReference(reference: Reference): string {
  return `${reference.domain}/${reference.path}${suffixOf(reference)}`;
}

/** Which repository, without tag and digest. */
export function canonicalName({ domain, path }: Pick<Reference, 'domain' | 'path'>): string {
  return `${domain}/${path}`;
}

/** As people write it: `nginx:1.29`. It parses to the same reference, so where the short form would not, it is the whole. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffixOf(reference);
}

export function familiarName({ domain, path }: Pick<Reference, 'domain' | 'path'>): string {
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  const [first = '', ...rest] = path.split('/');
  const name = first === OFFICIAL_NAMESPACE && rest.length === 1 ? (rest[0] ?? '') : path;
  if (IDENTIFIER.test(name)) return `${domain}/${path}`;
  return name.includes('/') && isDomain(first) ? `${domain}/${path}` : name;
}

/** What a pull without tag and digest gets. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: DEFAULT_TAG } : reference;
}

function splitDomain(text: string): { domain: string; remainder: string } {
  const slash = text.indexOf('/');
  const first = text.slice(0, Math.max(0, slash));
  if (slash < 0 || !isDomain(first)) return { domain: DEFAULT_DOMAIN, remainder: text };
  const domain = normaliseDomain(first);
  return { domain: domain === LEGACY_DEFAULT_DOMAIN ? DEFAULT_DOMAIN : domain, remainder: text.slice(slash + 1) };
}

/** Upper case is not allowed in a namespace, so that a first component with it is a host. */
function isDomain(first: string): boolean {
  return first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase();
}

function checkedPath(path: string): string {
  if (path === '') throw refused('repository is empty');
  if (path !== path.toLowerCase()) throw refused(`repository “${shown(path)}” must be lower case`);
  const wrong = path.split('/').find((component) => !PATH_COMPONENT.test(component));
  if (wrong !== undefined) {
    throw refused(
      `repository component “${shown(wrong)}”: letters and digits, joined by one “.”, one or two “_”, or “-”`,
    );
  }
  return path;
}

function checkedTag(tag: string): string {
  if (tag.length > MAX_TAG_CHARACTERS) throw refused(`tag has ${tag.length} characters, at most ${MAX_TAG_CHARACTERS}`);
  if (!TAG.test(tag)) throw refused(`tag “${shown(tag)}”: letters, digits, “_”, and not first “.” or “-”`);
  return tag;
}

function suffixOf({ tag, digest }: Reference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest.algorithm}:${digest.hex}`);
}
