// The names that a written one is held against: the tenant's history and allow-list, protected names, official and widely
// used images; compiled once into the indexes that the judgement looks into.
import {
  canonicalName,
  DEFAULT_DOMAIN,
  OFFICIAL_NAMESPACE,
  parseReference,
  type Reference,
} from '../references/reference.ts';
import { STANDINGS, type Standing } from './finding.ts';
import { compileHosts, type HostIndex } from './judge-host.ts';
import { compileNames, type NameIndex } from './near-names.ts';
import { OFFICIAL_IMAGES, RETIRED_OFFICIAL_IMAGES } from './official-images.ts';
import { withoutSeparators } from './shapes.ts';
import { WELL_KNOWN_IMAGES } from './well-known.ts';

export interface NameLists {
  /** References that the tenant has run. */
  readonly history?: readonly string[];
  /** References that are let in without questions; `ghcr.io/acme/*` for all of a namespace. */
  readonly allowed?: readonly string[];
  /** Names that others will imitate, beside those that are known to everybody. */
  readonly protected?: readonly string[];
}

export interface KnownName extends Pick<Reference, 'domain' | 'path'> {
  /** The first component of the path: whose it is. Empty where the path has but one. */
  readonly owner: string;
  /** The rest of the path. */
  readonly name: string;
  readonly standing: Standing;
}

export interface KnownNames {
  readonly byCanonicalName: ReadonlyMap<string, KnownName>;
  /** `ghcr.io/acme/`, of the allow-list. */
  readonly allowedPrefixes: readonly string[];
  readonly hosts: HostIndex;
  /** Owners by domain. */
  readonly owners: ReadonlyMap<string, NameIndex>;
  /** Names by `domain/owner`. */
  readonly namesOfOwner: ReadonlyMap<string, NameIndex>;
  readonly officials: NameIndex;
  /** Last components of all known paths, to find a name whose owner was left out or changed. */
  readonly bareNames: NameIndex;
  readonly byBareName: ReadonlyMap<string, readonly KnownName[]>;
  /** Paths without separators; `library/` left out. */
  readonly byLetters: ReadonlyMap<string, readonly KnownName[]>;
  readonly byPath: ReadonlyMap<string, readonly KnownName[]>;
  readonly tags: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Throws OciError `reference` where an entry of a list is none. */
export function compileKnownNames(lists: NameLists): KnownNames {
  const allowed = lists.allowed ?? [];
  const allowedPrefixes = allowed.filter(isPrefix).map(prefixOf);
  const history = (lists.history ?? []).map((text) => parseReference(text));
  const written: Readonly<Record<Standing, readonly Reference[]>> = {
    allowed: allowed.filter((entry) => !isPrefix(entry)).map((text) => parseReference(text)),
    protected: (lists.protected ?? []).map((text) => parseReference(text)),
    used: history,
    official: [...OFFICIAL_IMAGES, ...RETIRED_OFFICIAL_IMAGES].map((name) => parseReference(name)),
    'well-known': WELL_KNOWN_IMAGES.map((name) => parseReference(name)),
  };
  const byCanonicalName = new Map<string, KnownName>();
  for (const standing of STANDINGS) {
    for (const reference of written[standing]) {
      const key = canonicalName(reference);
      if (!byCanonicalName.has(key)) byCanonicalName.set(key, { ...partsOf(reference), standing });
    }
  }
  const all = [...byCanonicalName.values()];
  const ownDomains = [...written.allowed, ...written.protected, ...history].map(({ domain }) => domain);
  const byBareName = Map.groupBy(all, ({ path }) => bareNameOf(path));
  return {
    byCanonicalName,
    allowedPrefixes,
    hosts: compileHosts([...ownDomains, ...allowedPrefixes.map((prefix) => prefix.slice(0, prefix.indexOf('/')))]),
    owners: indexBy(
      [...all, ...allowedPrefixes.map((prefix) => ownerOfPrefix(prefix))],
      ({ domain }) => domain,
      ({ owner }) => owner,
    ),
    namesOfOwner: indexBy(
      all,
      ({ domain, owner }) => `${domain}/${owner}`,
      ({ name }) => name,
    ),
    officials: compileNames(written.official.map(({ path }) => bareNameOf(path))),
    bareNames: compileNames(byBareName.keys()),
    byBareName,
    byLetters: Map.groupBy(all, ({ path }) => withoutSeparators(withoutLibrary(path))),
    byPath: Map.groupBy(all, ({ path }) => withoutLibrary(path)),
    tags: tagsOf(history),
  };
}

export function partsOf({ domain, path }: Pick<Reference, 'domain' | 'path'>): Omit<KnownName, 'standing'> {
  const slash = path.indexOf('/');
  return { domain, path, owner: path.slice(0, Math.max(0, slash)), name: path.slice(slash + 1) };
}

export function bareNameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function withoutLibrary(path: string): string {
  return path.startsWith(`${OFFICIAL_NAMESPACE}/`) ? path.slice(OFFICIAL_NAMESPACE.length + 1) : path;
}

/** A name of one word on the default registry, which only Docker itself can fill. */
export function isOfficialName({ domain, owner }: Pick<KnownName, 'domain' | 'owner'>): boolean {
  return domain === DEFAULT_DOMAIN && owner === OFFICIAL_NAMESPACE;
}

/** Whose names nobody else can fill: an owner that is known, or the root of a registry of one's own. */
export function isKnownOwner(known: KnownNames, { domain, owner }: Pick<KnownName, 'domain' | 'owner'>): boolean {
  if (isOfficialName({ domain, owner })) return false;
  return owner === '' ? known.hosts.has(domain) : known.owners.get(domain)?.has(owner) === true;
}

function isPrefix(entry: string): boolean {
  return entry.endsWith('/*');
}

/** The entry with a name in place of the star is read as any other, so that it is normalised as they are. */
function prefixOf(entry: string): string {
  return canonicalName(parseReference(`${entry.slice(0, -1)}x`)).slice(0, -1);
}

function ownerOfPrefix(prefix: string): KnownName {
  const [domain = '', owner = ''] = prefix.split('/');
  return { domain, path: owner, owner, name: '', standing: 'allowed' };
}

function indexBy(
  names: readonly KnownName[],
  keyOf: (name: KnownName) => string,
  valueOf: (name: KnownName) => string,
): ReadonlyMap<string, NameIndex> {
  const groups = Map.groupBy(names, keyOf);
  return new Map(
    [...groups].map(([key, group]) => [key, compileNames(group.map(valueOf).filter((value) => value !== ''))]),
  );
}

function tagsOf(history: readonly Reference[]): ReadonlyMap<string, ReadonlySet<string>> {
  const tags = new Map<string, Set<string>>();
  for (const reference of history) {
    const key = canonicalName(reference);
    const known = tags.get(key) ?? new Set<string>();
    if (reference.tag !== undefined) known.add(reference.tag);
    tags.set(key, known);
  }
  return tags;
}
