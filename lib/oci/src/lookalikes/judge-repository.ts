// Repository names that imitate a known one: below an owner that is known, among the official images, below a namespace
// that nobody knows, and where the border between namespace and name was moved.
import { DEFAULT_DOMAIN, familiarName, OFFICIAL_NAMESPACE } from '../references/reference.ts';
import { findCombination } from './combinations.ts';
import { describeStanding, sentence, type PartFinding, type Standing } from './finding.ts';
import {
  bareNameOf,
  isKnownOwner,
  isOfficialName,
  withoutLibrary,
  type KnownName,
  type KnownNames,
} from './known-names.ts';
import type { Resemblance } from './near-names.ts';
import { withoutSeparators } from './shapes.ts';

type Parts = Omit<KnownName, 'standing'>;

/** Below a known owner nobody else can publish: a slip there finds nothing, or a sibling. */
const KNOWN_OWNER_FACTOR = 0.62;
/** `library/` has no honest neighbours but its own. */
const OFFICIAL_FACTOR = 1.1;
const UNKNOWN_OWNER_FACTOR = 0.85;
const UNKNOWN_OWNER_OTHER_IMAGE_FACTOR = 0.75;
const OTHER_REGISTRY_FACTOR = 0.75;
const CLAIMS_AUTHORITY = 0.88;
const OFFICIAL_VARIANT = 0.6;
const OFFICIAL_WITH_A_VERSION = 0.65;
const OFFICIAL_WITH_A_PART = 0.55;
const OWNER_LEFT_OUT = 0.6;
const MOVED_BORDER = 0.84;
const MIN_MOVED_CHARACTERS = 7;
const PUBLIC_FOR_PRIVATE = 0.92;
const PUBLIC_FOR_PUBLIC = 0.6;
/** Their publishers have no other registry; on those that are open to all, publishers are on Docker Hub as well. */
const ONE_PUBLISHER = new Set([
  'gcr.io',
  'mcr.microsoft.com',
  'registry.access.redhat.com',
  'registry.k8s.io',
  'nvcr.io',
  'docker.elastic.co',
]);
const DISTINCTIVE_PRIVATE_NAME = 0.62;
const MIN_DISTINCTIVE_CHARACTERS = 8;

export function judgeRepository(known: KnownNames, parts: Parts): readonly PartFinding[] {
  const official = isOfficialName(parts);
  const knownOwner = isKnownOwner(known, parts);
  const findings = [
    ...(official ? judgeOfficial(known, parts) : []),
    knownOwner ? judgeSibling(known, parts) : undefined,
    official || knownOwner ? undefined : judgeBelowUnknownOwner(known, parts),
    knownOwner ? undefined : judgeMovedBorder(known, parts),
    judgeOtherRegistry(known, parts, knownOwner),
  ];
  return findings.filter((finding) => finding !== undefined);
}

/** `library/` is filled by Docker alone, and all its names are known: any other one is a mistake at least. */
function judgeOfficial(known: KnownNames, { name }: Parts): readonly (PartFinding | undefined)[] {
  const near = known.bareNames.nearest(name);
  return [
    near === undefined ? undefined : resembling(known, name, near, OFFICIAL_FACTOR),
    judgeOfficialCombination(known, name),
    judgeOwnerLeftOut(known, name),
  ];
}

function judgeOfficialCombination(known: KnownNames, name: string): PartFinding | undefined {
  const has = (text: string): boolean => known.officials.has(text);
  const found = findCombination(name, has);
  if (found !== undefined) {
    const score = found.claim === 'authority' ? CLAIMS_AUTHORITY : OFFICIAL_VARIANT;
    return repositoryFinding(
      score,
      found.known,
      `“${name}” joins “${found.known}”, an official image, with “${found.word}”`,
    );
  }
  const part = name
    .split(/[-_.]/)
    .map((text) => text.replace(/\d+$/, ''))
    .find(has);
  if (part === undefined) return undefined;
  const reason = `no official image is called “${name}”; a variant of “${part}” is a tag, as in “${part}:…”`;
  return repositoryFinding(
    /^[\d.]*$/.test(name.slice(part.length)) ? OFFICIAL_WITH_A_VERSION : OFFICIAL_WITH_A_PART,
    part,
    reason,
  );
}

function judgeOwnerLeftOut(known: KnownNames, name: string): PartFinding | undefined {
  const meant = known.byBareName.get(name)?.[0];
  if (meant === undefined) return undefined;
  const intended = familiarName(meant);
  return repositoryFinding(
    OWNER_LEFT_OUT,
    intended,
    `no official image is called “${name}”; “${intended}” is ${widely(meant)}`,
  );
}

function judgeSibling(known: KnownNames, { domain, owner, name }: Parts): PartFinding | undefined {
  const near = known.namesOfOwner.get(`${domain}/${owner}`)?.nearest(name);
  if (near === undefined) return undefined;
  const path = owner === '' ? near.known : `${owner}/${near.known}`;
  const intended = familiarName({ domain, path });
  const standing = known.byCanonicalName.get(`${domain}/${path}`)?.standing ?? 'used';
  const reason = sentence(name, near.likeness, near.known, describeStanding(standing));
  return repositoryFinding(near.score * KNOWN_OWNER_FACTOR, intended, reason);
}

function judgeBelowUnknownOwner(known: KnownNames, { domain, name }: Parts): PartFinding | undefined {
  if (!known.hosts.isPublic(domain) && known.hosts.has(domain)) return undefined;
  const bare = bareNameOf(name);
  const found = findCombination(bare, (text) => known.officials.has(text));
  if (found?.claim === 'authority') {
    const reason = `“${bare}” joins “${found.known}”, an official image, with “${found.word}”, and is somebody else’s`;
    return repositoryFinding(CLAIMS_AUTHORITY, found.known, reason);
  }
  if (known.byBareName.has(bare)) return undefined;
  const near = known.bareNames.nearest(bare);
  if (near === undefined) return undefined;
  const image = known.officials.has(near.known) ? UNKNOWN_OWNER_FACTOR : UNKNOWN_OWNER_OTHER_IMAGE_FACTOR;
  return resembling(known, bare, near, image * (domain === DEFAULT_DOMAIN ? 1 : OTHER_REGISTRY_FACTOR));
}

/** `bitnami-redis` for `bitnami/redis`. */
function judgeMovedBorder(known: KnownNames, { domain, path }: Parts): PartFinding | undefined {
  const letters = withoutSeparators(withoutLibrary(path));
  if (letters.length < MIN_MOVED_CHARACTERS) return undefined;
  const meant = known.byLetters.get(letters)?.find((other) => other.domain === domain && other.path !== path);
  if (meant === undefined) return undefined;
  const [written, intended] = [familiarName({ domain, path }), familiarName(meant)];
  const reason = `“${written}” has the letters of “${intended}”, divided otherwise, which is ${widely(meant)}`;
  return repositoryFinding(MOVED_BORDER, intended, reason);
}

/** What is known on one registry, asked of another: a private name that anybody could publish, or a dropped host. */
function judgeOtherRegistry(known: KnownNames, { domain, path }: Parts, knownOwner: boolean): PartFinding | undefined {
  if (!known.hosts.isPublic(domain)) return undefined;
  const elsewhere = (known.byPath.get(withoutLibrary(path)) ?? []).filter((other) => other.domain !== domain);
  const isPrivate = (other: KnownName): boolean => !known.hosts.isPublic(other.domain);
  const own = elsewhere.find(isPrivate);
  if (own !== undefined && !isOfficialImage(known, own)) {
    const reason = `“${withoutLibrary(path)}” is known here from “${own.domain}”; this would come from “${domain}”, where anybody may have published it`;
    return { part: 'host', score: PUBLIC_FOR_PRIVATE, intended: familiarName(own), reason };
  }
  if (knownOwner) return undefined;
  const other = elsewhere.find(({ domain: host, standing }) => isOwn(standing) || ONE_PUBLISHER.has(host));
  if (other !== undefined) {
    const reason = `“${withoutLibrary(path)}” is known from “${other.domain}”, and not from “${domain}”`;
    return { part: 'host', score: PUBLIC_FOR_PUBLIC, intended: familiarName(other), reason };
  }
  const bare = bareNameOf(path);
  const sameName = known.byBareName.get(bare) ?? [];
  const distinctive = bare.length >= MIN_DISTINCTIVE_CHARACTERS && sameName.every(isPrivate);
  const [mine] = sameName;
  if (mine === undefined || !distinctive) return undefined;
  const reason = `“${bare}” is known here only as “${familiarName(mine)}”; this one is published by somebody else`;
  return { part: 'namespace', score: DISTINCTIVE_PRIVATE_NAME, intended: familiarName(mine), reason };
}

function isOwn(standing: Standing): boolean {
  return standing !== 'official' && standing !== 'well-known';
}

function isOfficialImage(known: KnownNames, { path }: KnownName): boolean {
  return known.officials.has(withoutLibrary(path));
}

function resembling(known: KnownNames, written: string, near: Resemblance, factor: number): PartFinding {
  const official = known.byCanonicalName.get(`${DEFAULT_DOMAIN}/${OFFICIAL_NAMESPACE}/${near.known}`);
  const meant = official ?? known.byBareName.get(near.known)?.[0];
  const intended = meant === undefined ? near.known : familiarName(meant);
  const who = describeStanding(meant?.standing ?? 'official');
  return repositoryFinding(near.score * factor, intended, sentence(written, near.likeness, near.known, who));
}

function repositoryFinding(score: number, intended: string, reason: string): PartFinding {
  return { part: 'repository', score: Math.min(1, score), intended, reason };
}

function widely({ standing }: KnownName): string {
  return isOwn(standing) ? 'known here' : 'widely used';
}
