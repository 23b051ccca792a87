// What a feed says of one vulnerability, in one form for all feeds.
import type { FindingSeverity } from '../inspection/finding.ts';

/** Adding one is a change of the database's format. */
export const ADVISORY_STATUSES = [
  'affected', // by its ranges: fixed where they end, without a fix where they do not
  'not-affected', // whoever builds the package says so
  'ignored', // they will not fix it
  'minor', // they say that it hardly matters, or that it can wait for something else
  'end-of-life', // they fix nothing in this package any more
  'undetermined', // they do not know yet
] as const;
export type AdvisoryStatus = (typeof ADVISORY_STATUSES)[number];

/** A range of OSV: from `introduced` (`0` from the beginning) until `fixed`, or up to and with `last`; '' where there is none. */
export type VersionRange = readonly [introduced: string, fixed: string, last: string];

export interface AffectedPackage {
  /** As the OSV schema names them: `npm`, `Debian:12`, `Alpine:v3.19`, `Red Hat:9`. */
  readonly ecosystem: string;
  /** The source package of Debian and Alpine; of RPMs the binary one where the feed knows, else the source. */
  readonly name: string;
  readonly status: AdvisoryStatus;
  readonly ranges: readonly VersionRange[];
  /** Those that no range says; npm's malicious packages name each. */
  readonly versions: readonly string[];
  /** Only in this stream of a module: `nodejs:18`; '' where it is of none. */
  readonly module: string;
}

export interface Advisory {
  /** In its feed: `CVE-2024-1`, `GHSA-…`, `DSA-5532-1`. */
  readonly id: string;
  /** What it is about: its CVEs, or itself where it has none. Never empty. */
  readonly vulnerabilities: readonly string[];
  /** One sentence, for people. */
  readonly summary: string;
  /** By the feed's own word; undefined where it has none. */
  readonly severity: FindingSeverity | undefined;
  readonly affected: readonly AffectedPackage[];
}

/** Of one file, of a hostile mirror too. The Debian tracker has 48,000, OSV for npm 220,000. */
export const MAX_ADVISORIES_OF_A_FEED = 2_000_000;
/** What is shown of a text; whole ones are for the feed's own site. */
const MAX_SUMMARY_CHARACTERS = 300;
export const MAX_ID_CHARACTERS = 100;

/** The first sentence, or as much as is shown. */
export function summaryOf(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  if (line.length <= MAX_SUMMARY_CHARACTERS) return line;
  const cut = line.slice(0, MAX_SUMMARY_CHARACTERS);
  const end = Math.max(cut.lastIndexOf('. ') + 1, 0);
  return end >= MAX_SUMMARY_CHARACTERS / 3 ? cut.slice(0, end) : `${cut.slice(0, cut.lastIndexOf(' '))} …`;
}

const CVE = /^CVE-\d{4}-\d{4,}$/;

/** CVEs among the names of an advisory, or its own name. */
export function vulnerabilitiesOf(id: string, others: readonly string[]): readonly string[] {
  const cves = [id, ...others].filter((name) => CVE.test(name) && name.length <= MAX_ID_CHARACTERS);
  return cves.length === 0 ? [id] : [...new Set(cves)];
}

const SEVERITY_WORDS: Readonly<Record<string, FindingSeverity>> = {
  critical: 'critical',
  important: 'high',
  high: 'high',
  moderate: 'medium',
  medium: 'medium',
  low: 'low',
  negligible: 'low',
  unimportant: 'info',
  none: 'info',
};

/** Words of GitHub, Debian, Red Hat, Ubuntu. */
export function severityOfWord(word: string): FindingSeverity | undefined {
  const known = word.toLowerCase().replaceAll('*', '').trim();
  return Object.hasOwn(SEVERITY_WORDS, known) ? SEVERITY_WORDS[known] : undefined;
}
