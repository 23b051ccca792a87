// Namespaces that imitate a known publisher: `bitnarni/redis`, `libary/nginx`, `nginx-official/nginx`, `ghcr/owner/name`.
import { DEFAULT_DOMAIN, familiarName, OFFICIAL_NAMESPACE } from '../references/reference.ts';
import { findCombination } from './combinations.ts';
import { sentence, type PartFinding } from './finding.ts';
import { bareNameOf, type KnownName, type KnownNames } from './known-names.ts';
import { withoutSeparators } from './shapes.ts';
import { PUBLIC_REGISTRIES } from './well-known.ts';

type Parts = Omit<KnownName, 'standing'>;

/** The same name below the namespace that is imitated: nobody types that by chance. */
const SAME_NAME_BONUS = 0.2;
/** The name of an official image as a namespace is its vendor's, often enough. */
const LIKE_AN_OFFICIAL_IMAGE = 0.75;
const CLAIMS_AUTHORITY = 0.9;
const CLAIMS_OF_THE_LIBRARY = new Set(
  ['docker', 'dockerhub', 'hub', 'images', 'library', 'dockerlibrary'].flatMap((word) => [
    `official${word}`,
    `${word}official`,
    `docker${word}`,
  ]),
);
const VARIANT_WITH_THE_SAME_NAME = 0.6;
const REGISTRY_AS_NAMESPACE = 0.6;
const REGISTRY_AS_NAMESPACE_OF_A_KNOWN_PATH = 0.9;
const MIN_REGISTRY_LABEL_CHARACTERS = 3;
const SWAPPED_PARTS = 0.6;

/** Each way in which a namespace that nobody knows could be taken for another. */
export function judgeOwner(known: KnownNames, parts: Parts): readonly PartFinding[] {
  const { domain, owner } = parts;
  if (owner === '') return [];
  const swapped = judgeSwapped(known, parts);
  if (known.owners.get(domain)?.has(owner) === true) return swapped === undefined ? [] : [swapped];
  return [
    swapped,
    judgeClaimOfTheLibrary(known, parts),
    judgeLikeOwner(known, parts),
    judgeLikeOfficial(known, parts),
    judgeCombination(known, parts),
    judgeDroppedRegistry(known, parts),
  ].filter((finding) => finding !== undefined);
}

/** `docker-library/nginx`, `dockerhub-official/python`. */
function judgeClaimOfTheLibrary(known: KnownNames, { domain, owner, name }: Parts): PartFinding | undefined {
  if (!CLAIMS_OF_THE_LIBRARY.has(withoutSeparators(owner)) || !known.officials.has(bareNameOf(name))) return undefined;
  return {
    part: 'namespace',
    score: CLAIMS_AUTHORITY,
    intended: familiarName({ domain: DEFAULT_DOMAIN, path: `${OFFICIAL_NAMESPACE}/${bareNameOf(name)}` }),
    reason: `“${owner}” on “${domain}” claims to be where the official images are`,
  };
}

function judgeLikeOwner(known: KnownNames, { domain, owner, name }: Parts): PartFinding | undefined {
  const near = known.owners.get(domain)?.nearest(owner);
  if (near === undefined) return undefined;
  const sameName = known.namesOfOwner.get(`${domain}/${near.known}`)?.has(name) === true;
  const who =
    near.known === OFFICIAL_NAMESPACE ? 'where the official images are' : 'a namespace that is known on this registry';
  return {
    part: 'namespace',
    score: Math.min(1, near.score + (sameName ? SAME_NAME_BONUS : 0)),
    intended: familiarName({ domain, path: `${near.known}/${name}` }),
    reason: sentence(owner, near.likeness, near.known, who),
  };
}

function judgeLikeOfficial(known: KnownNames, { domain, owner, name }: Parts): PartFinding | undefined {
  const near = known.officials.nearest(owner);
  // On another registry it is known under this very name.
  const elsewhere = [...known.owners.values()].some((owners) => owners.has(owner));
  if (near === undefined || elsewhere) return undefined;
  const sameName = bareNameOf(name) === near.known;
  const path = sameName ? `${OFFICIAL_NAMESPACE}/${near.known}` : `${near.known}/${name}`;
  return {
    part: 'namespace',
    score: Math.min(1, near.score * LIKE_AN_OFFICIAL_IMAGE + (sameName ? SAME_NAME_BONUS : 0)),
    intended: familiarName({ domain: sameName ? DEFAULT_DOMAIN : domain, path }),
    reason: sentence(owner, near.likeness, near.known, 'the name of an official image'),
  };
}

function judgeCombination(known: KnownNames, { domain, owner, name }: Parts): PartFinding | undefined {
  const owners = known.owners.get(domain);
  const brand = (text: string): boolean => text === 'docker' || known.officials.has(text);
  const found = findCombination(owner, (text) => brand(text) || owners?.has(text) === true);
  if (found === undefined) return undefined;
  const sameName =
    bareNameOf(name) === found.known || known.namesOfOwner.get(`${domain}/${found.known}`)?.has(name) === true;
  const official = brand(found.known);
  const path = official && sameName ? `${OFFICIAL_NAMESPACE}/${bareNameOf(name)}` : `${found.known}/${name}`;
  const claim = { part: 'namespace', intended: familiarName({ domain, path }) } as const;
  if (found.claim === 'authority') {
    const reason = `“${owner}” joins “${found.known}” with “${found.word}”, which its publisher has no need to say`;
    return { ...claim, score: CLAIMS_AUTHORITY, reason };
  }
  if (!sameName) return undefined;
  const reason = `“${owner}” joins “${found.known}” with “${found.word}” and has the same name below it`;
  return { ...claim, score: VARIANT_WITH_THE_SAME_NAME, reason };
}

/** `ghcr/owner/name`: without its dot a registry is but a namespace of the default one. */
function judgeDroppedRegistry(known: KnownNames, { domain, owner, name }: Parts): PartFinding | undefined {
  if (domain !== DEFAULT_DOMAIN) return undefined;
  const letters = withoutSeparators(owner);
  const registry = PUBLIC_REGISTRIES.find((host) => {
    const [label = ''] = host.split('.');
    if (host === DEFAULT_DOMAIN || label.length < MIN_REGISTRY_LABEL_CHARACTERS) return false;
    return (
      letters === withoutSeparators(host) ||
      (owner === label && !['docker', 'registry', 'public', 'k8s'].includes(label))
    );
  });
  if (registry === undefined) return undefined;
  const intended = `${registry}/${name}`;
  return {
    part: 'host',
    score: known.byCanonicalName.has(intended) ? REGISTRY_AS_NAMESPACE_OF_A_KNOWN_PATH : REGISTRY_AS_NAMESPACE,
    intended,
    reason: `“${owner}” is here a namespace of Docker Hub, not the registry “${registry}”`,
  };
}

function judgeSwapped(known: KnownNames, { domain, owner, name }: Parts): PartFinding | undefined {
  const meant = known.byCanonicalName.get(`${domain}/${name}/${owner}`);
  if (meant === undefined) return undefined;
  return {
    part: 'namespace',
    score: SWAPPED_PARTS,
    intended: familiarName(meant),
    reason: `“${owner}/${name}” has namespace and name the other way round`,
  };
}
