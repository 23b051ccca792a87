// Packages held against advisories. Pure, and the order of words counts: what the distribution says of its own package goes
// before what upstream says of a version, what is said of a binary package before what is said of its source, and a feed that
// nobody has brought is named, never counted as clean.
import { isAffected, type RangeEvent } from '../versions/compare.ts';
import { OciError } from '../oci-error.ts';
import type { ImagePackages, InstalledPackage } from '../packages/installed-packages.ts';
import type { AdvisorySource, PackageAdvisory } from './advisory-source.ts';
import type { AdvisoryStatus, VersionRange } from './advisory.ts';
import { advisoryKeyOf, type AdvisoryKey } from './ecosystem.ts';
import { FEED_KINDS } from './feeds/feed.ts';
import { isKernelPackage } from './kernel-package.ts';

export interface VulnerabilityMatch {
  /** `CVE-2023-38545`, or what the advisory calls itself. */
  readonly vulnerability: string;
  readonly advisory: PackageAdvisory;
  readonly found: InstalledPackage;
  readonly status: Exclude<AdvisoryStatus, 'not-affected'>;
  /** The first version without it; '' where there is none. */
  readonly fixed: string;
}

/** Packages that nothing could be said of. */
export interface UnjudgedPackages {
  /** `npm`, `Debian:12`; the id of a distribution for which no advisories are known. */
  readonly ecosystem: string;
  readonly why: 'no feed' | 'unknown distribution';
  readonly packages: readonly InstalledPackage[];
}

export interface Matches {
  readonly matches: readonly VulnerabilityMatch[];
  readonly unjudged: readonly UnjudgedPackages[];
  /** Kernels and their headers: no container runs them, its host's kernel is another. */
  readonly kernels: readonly InstalledPackage[];
  /** Packages of languages that came with one of the distribution, whose word was taken. */
  readonly ownedByDistribution: number;
}

export function matchPackages({ packages, distribution }: ImagePackages, advisories: AdvisorySource): Matches {
  const source = remembering(advisories);
  const matches: VulnerabilityMatch[] = [];
  const kernels: InstalledPackage[] = [];
  const unjudged = new Map<string, { why: UnjudgedPackages['why']; packages: InstalledPackage[] }>();
  const distributionIsCovered = packages.some(({ type, ...found }) => {
    if (!OF_DISTRIBUTIONS.has(type)) return false;
    const key = advisoryKeyOf({ type, ...found }, distribution);
    return key !== undefined && coveredBy(key, source) !== undefined;
  });
  let ownedByDistribution = 0;
  for (const found of packages) {
    if (isKernelPackage(found)) {
      kernels.push(found);
      continue;
    }
    if (found.ownedBy !== '' && distributionIsCovered) {
      ownedByDistribution += 1;
      continue;
    }
    const key = advisoryKeyOf(found, distribution);
    const ecosystem = key === undefined ? undefined : coveredBy(key, source);
    if (ecosystem === undefined) {
      const name =
        key?.ecosystems[0] ?? (distribution.name || distribution.id || 'a distribution that the image does not name');
      const list = unjudged.get(name) ?? {
        why: key === undefined ? 'unknown distribution' : 'no feed',
        packages: [],
      };
      unjudged.set(name, list);
      list.packages.push(found);
    }
    // A part of a feed may be there all the same: what it knows is told, and the rest is not taken for clean.
    if (key !== undefined) matches.push(...matchesOf(found, key, ecosystem ?? key.ecosystems[0] ?? '', source));
  }
  return {
    matches,
    unjudged: [...unjudged].map(([ecosystem, each]) => ({ ecosystem, ...each })),
    kernels,
    ownedByDistribution,
  };
}

/** Binary packages of one source ask the same. */
function remembering(source: AdvisorySource): AdvisorySource {
  const known = new Map<string, readonly PackageAdvisory[]>();
  const lookup: AdvisorySource['lookup'] = (ecosystem, name) => {
    const key = `${ecosystem}\0${name}`;
    const found = known.get(key) ?? source.lookup(ecosystem, name);
    known.set(key, found);
    return found;
  };
  return { ...source, lookup };
}

const OF_DISTRIBUTIONS: ReadonlySet<string> = new Set(['apk', 'deb', 'rpm']);

function coveredBy({ ecosystems }: AdvisoryKey, source: AdvisorySource): string | undefined {
  return ecosystems.find((ecosystem) => source.covers(ecosystem));
}

function* matchesOf(
  found: InstalledPackage,
  key: AdvisoryKey,
  ecosystem: string,
  source: AdvisorySource,
): Generator<VulnerabilityMatch> {
  const best = new Map<string, { readonly rank: number; readonly advisories: PackageAdvisory[] }>();
  for (const [nearness, name] of key.names.entries()) {
    for (const advisory of source.lookup(ecosystem, name)) {
      if (!isOfModule(advisory, found)) continue;
      const rank = FEED_KINDS.indexOf(advisory.feed) * key.names.length + nearness;
      for (const vulnerability of advisory.vulnerabilities) {
        const known = best.get(vulnerability);
        if (known === undefined || rank < known.rank) best.set(vulnerability, { rank, advisories: [advisory] });
        else if (rank === known.rank) known.advisories.push(advisory);
      }
    }
  }
  for (const [vulnerability, { advisories }] of best) {
    const match = judge(advisories, key);
    if (match !== undefined) yield { vulnerability, found, ...match };
  }
}

/** `nodejs:18:8090020…` is of the stream `nodejs:18`. A package that is of no module is not meant by an advisory of one. */
function isOfModule({ module }: PackageAdvisory, found: InstalledPackage): boolean {
  const stream = found.module.split(':').slice(0, 2).join(':');
  return module === '' || module === stream;
}

type Judged = Pick<VulnerabilityMatch, 'advisory' | 'status' | 'fixed'>;

/** Several of one feed on one vulnerability: the first by which it is affected, and the lowest of the versions that fix it. */
function judge(advisories: readonly PackageAdvisory[], key: AdvisoryKey): Judged | undefined {
  for (const advisory of advisories) {
    const { status } = advisory;
    // Also where another line of the same feed is about a range: whoever builds the package has said that it does not have it.
    if (status === 'not-affected') return undefined;
  }
  for (const advisory of advisories) {
    const { status, ranges, versions } = advisory;
    if (status === 'not-affected') continue;
    const range = ranges.find((each) => isWithin(each, key));
    if (range !== undefined) return { advisory, status, fixed: range[1] };
    if (versions.includes(key.version)) return { advisory, status, fixed: '' };
  }
  return undefined;
}

function isWithin([introduced, fixed, last]: VersionRange, { scheme, version }: AdvisoryKey): boolean {
  const events: RangeEvent[] = [{ introduced }];
  if (fixed !== '') events.push({ fixed });
  else if (last !== '') events.push({ last_affected: last });
  try {
    return isAffected(scheme, version, events);
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    // A version that is too long to compare: not known to be fixed.
    return true;
  }
}
