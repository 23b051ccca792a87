// Where advisories are looked up: a file of them on this host, or a few in a test. Everything is at hand at once, so that the
// judgement stays a pure function of image and advisories.
import type { FindingSeverity } from '../inspection/finding.ts';
import type { AdvisoryStatus, VersionRange } from './advisory.ts';
import { isCovered } from './feeds/alpine.ts';
import type { FeedKind, ParsedFeed } from './feeds/feed.ts';
import type { Priority } from './feeds/priorities.ts';

/** What one advisory says of one package. */
export interface PackageAdvisory {
  readonly feed: FeedKind;
  readonly id: string;
  readonly vulnerabilities: readonly string[];
  readonly severity: FindingSeverity | undefined;
  readonly status: AdvisoryStatus;
  readonly ranges: readonly VersionRange[];
  readonly versions: readonly string[];
  readonly module: string;
  /** Unpacked only for what is shown. */
  readonly summary: () => string;
}

export interface AdvisorySource {
  /** Whether a feed speaks for the ecosystem, so that a package without an advisory is one that nothing is known of. */
  readonly covers: (ecosystem: string) => boolean;
  readonly lookup: (ecosystem: string, name: string) => readonly PackageAdvisory[];
  readonly priority: (vulnerability: string) => Priority;
}

export const NO_PRIORITY: Priority = { epss: undefined, exploitedSince: '' };

/** Without a file: of feeds that were just read. */
export function sourceOfFeeds(
  feeds: readonly ParsedFeed[],
  priorities: ReadonlyMap<string, Priority> = new Map(),
): AdvisorySource {
  const covered = new Set(feeds.flatMap(({ ecosystems }) => ecosystems));
  const byPackage = new Map<string, PackageAdvisory[]>();
  for (const { kind, advisories } of feeds) {
    for (const { id, vulnerabilities, severity, summary, affected } of advisories) {
      for (const { ecosystem, name, status, ranges, versions, module } of affected) {
        const key = `${ecosystem}\0${name}`;
        const list = byPackage.get(key) ?? [];
        byPackage.set(key, list);
        list.push({
          feed: kind,
          id,
          vulnerabilities,
          severity,
          status,
          ranges,
          versions,
          module,
          summary: () => summary,
        });
      }
    }
  }
  return {
    covers: (ecosystem) => isCovered(ecosystem, covered),
    lookup: (ecosystem, name) => byPackage.get(`${ecosystem}\0${name}`) ?? [],
    priority: (vulnerability) => priorities.get(vulnerability) ?? NO_PRIORITY,
  };
}
