// Hosts of registries that imitate another: by shape, by slip, by another top-level domain, by carrying the name of the
// other inside themselves. Whoever is sent a token by mistake can use it, so a host is judged more strictly than a name.
import { unicodeHost } from '../references/host.ts';
import { editDistance } from './edits.ts';
import { sentence } from './finding.ts';
import { compileNames, type NameIndex } from './near-names.ts';
import { withoutSeparators } from './shapes.ts';
import { MISTAKEN_FOR_DOCKER_HUB, PUBLIC_REGISTRIES, SHARED_REGISTRY_SUFFIXES } from './well-known.ts';

export interface HostFinding {
  readonly score: number;
  /** The domain, with its port where it has one. */
  readonly intended: string;
  readonly reason: string;
}

export interface HostIndex {
  readonly has: (domain: string) => boolean;
  readonly isPublic: (domain: string) => boolean;
  readonly judge: (domain: string) => HostFinding | undefined;
}

const STRICTNESS = 1.3;
const SAME_SHAPE = 0.98;
const CARRIES_ANOTHER = 0.92;
const OTHER_SEPARATORS = 0.92;
const PUBLIC_WITH_OTHER_TOP_LEVEL = 0.86;
const OWN_WITH_OTHER_TOP_LEVEL = 0.65;
const COMBINATION = 0.7;
const MISTAKEN = 0.6;
const OTHER_ACCOUNT = 0.7;
/** Below one registered domain all hosts are one owner's. */
const SAME_OWNER_FACTOR = 0.5;
const MIN_BASE_CHARACTERS = 3;
const ACCOUNT = /^\d{12}\./;
const BRANDS: readonly (readonly [brand: string, domain: string])[] = [
  ['docker', 'docker.io'],
  ['quay', 'quay.io'],
  ['ghcr', 'ghcr.io'],
  ['gcr', 'gcr.io'],
  ['mcr', 'mcr.microsoft.com'],
];
const REGISTRY_WORDS = new Set(
  'hub registry registries cr official images image mirror io com cdn repo pull download downloads cloud secure library'.split(
    ' ',
  ),
);

/** `used` are the domains of the tenant's own history and allow-list. */
export function compileHosts(used: Iterable<string>): HostIndex {
  const own = new Set(used);
  const known = new Set([...PUBLIC_REGISTRIES, ...own]);
  // Ports belong to a host: another port on a known host is not another owner.
  const byHost = new Map([...known].map((domain): [string, string] => [hostOf(domain), domain]));
  const names = compileNames(byHost.keys());
  const isPublic = (domain: string): boolean => PUBLIC_REGISTRIES.includes(domain);

  const judge = (domain: string): HostFinding | undefined => {
    const host = hostOf(domain);
    if (byHost.has(host) || isAddress(host) || !host.includes('.')) return undefined;
    if ([...byHost.keys()].some((other) => host.endsWith(`.${other}`))) return undefined;
    const found = strongest([
      judgeShape(host, names),
      judgeCarried(host, byHost, own),
      judgeMistaken(host),
      judgeBrand(host),
      judgeAccount(host, byHost),
    ]);
    return found === undefined ? undefined : { ...found, intended: byHost.get(found.intended) ?? found.intended };
  };
  return { has: (domain) => known.has(domain), isPublic, judge };
}

function judgeShape(host: string, names: NameIndex): HostFinding | undefined {
  const shown = unicodeHost(host);
  const near = names.nearest(shown);
  if (near === undefined) return undefined;
  const who = 'which is a registry of its own';
  const reason = sentence(shown, near.likeness, near.known, who);
  if (near.likeness === 'same-shape') return { score: SAME_SHAPE, intended: near.known, reason };
  if (near.likeness === 'separators') return { score: OTHER_SEPARATORS, intended: near.known, reason };
  const owner = haveSameOwner(host, near.known) ? SAME_OWNER_FACTOR : 1;
  return { score: Math.min(1, near.score * STRICTNESS * owner), intended: near.known, reason };
}

/** `docker.io.evil.example`, `ghcr-io.com`, `ghcr.com`. */
function judgeCarried(
  host: string,
  byHost: ReadonlyMap<string, string>,
  own: ReadonlySet<string>,
): HostFinding | undefined {
  const findings: HostFinding[] = [];
  const letters = withoutSeparators(host);
  for (const [other, domain] of byHost) {
    if (isAddress(other) || !other.includes('.')) continue;
    const joined = other.replaceAll('.', '-');
    if (host.startsWith(`${other}.`) || host.includes(`.${other}.`) || `.${host}`.includes(`.${joined}`)) {
      const reason = `“${host}” carries “${other}” in its name and belongs to somebody else`;
      findings.push({ score: CARRIES_ANOTHER, intended: other, reason });
    } else if (letters === withoutSeparators(other)) {
      const reason = `“${host}” is “${other}” with its dots elsewhere`;
      findings.push({ score: OTHER_SEPARATORS, intended: other, reason });
    } else if (baseOf(host) === baseOf(other) && baseOf(host).length >= MIN_BASE_CHARACTERS) {
      const score = own.has(domain) ? OWN_WITH_OTHER_TOP_LEVEL : PUBLIC_WITH_OTHER_TOP_LEVEL;
      const reason = `“${host}” is “${other}” under another top-level domain`;
      findings.push({ score, intended: other, reason });
    }
  }
  return strongest(findings);
}

function judgeMistaken(host: string): HostFinding | undefined {
  if (!MISTAKEN_FOR_DOCKER_HUB.includes(host)) return undefined;
  return {
    score: MISTAKEN,
    intended: 'docker.io',
    reason: `“${host}” is no registry; images of Docker Hub come from “docker.io”`,
  };
}

/** `docker-registry.io`: the name of a registry and a word, as a domain that somebody registered. */
function judgeBrand(host: string): HostFinding | undefined {
  const label = host.split('.').at(-2) ?? '';
  for (const [brand, intended] of BRANDS) {
    if (!label.includes(brand)) continue;
    const words = label.split(brand).flatMap((rest) => rest.split('-'));
    if (words.every((word) => word === '' || REGISTRY_WORDS.has(word)) && words.some((word) => word !== '')) {
      return {
        score: COMBINATION,
        intended,
        reason: `“${host}” joins “${brand}” with a common word; the registry is “${intended}”`,
      };
    }
  }
  return undefined;
}

/** Amazon's registries differ by a number of twelve digits, which nobody reads. */
function judgeAccount(host: string, byHost: ReadonlyMap<string, string>): HostFinding | undefined {
  if (!ACCOUNT.test(host)) return undefined;
  for (const other of byHost.keys()) {
    if (!ACCOUNT.test(other) || host.slice(12) !== other.slice(12)) continue;
    if (editDistance(host.slice(0, 12), other.slice(0, 12)) === undefined) continue;
    const reason = `“${host}” is the registry of another account than “${other}”, by a digit or two`;
    return { score: OTHER_ACCOUNT, intended: other, reason };
  }
  return undefined;
}

function strongest(findings: readonly (HostFinding | undefined)[]): HostFinding | undefined {
  return findings.filter((finding) => finding !== undefined).toSorted((one, other) => other.score - one.score)[0];
}

function haveSameOwner(one: string, other: string): boolean {
  const owned = (host: string): string => host.split('.').slice(-2).join('.');
  const shared = SHARED_REGISTRY_SUFFIXES.some((suffix) => one.endsWith(`.${suffix}`));
  return owned(one) === owned(other) && owned(one) !== one && !shared;
}

function hostOf(domain: string): string {
  return domain.endsWith(']') ? domain : domain.replace(/:\d+$/, '');
}

function isAddress(host: string): boolean {
  return host.startsWith('[') || /^[\d.]+$/.test(host);
}

function baseOf(host: string): string {
  return host.slice(0, host.lastIndexOf('.'));
}
