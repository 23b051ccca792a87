// The Debian security tracker, https://security-tracker.debian.org/tracker/data/json: source package → CVE → release. Its words
// are explained at https://security-team.debian.org/security_tracker.html.
import { recordOf, textAt, type JsonRecord } from '../../json-value.ts';
import {
  MAX_ADVISORIES_OF_A_FEED,
  severityOfWord,
  summaryOf,
  type Advisory,
  type AffectedPackage,
  type AdvisoryStatus,
} from '../advisory.ts';
import { malformedFeed, type ParsedFeed } from './feed.ts';

/** Those that images may still be of. A release that is not here is one that the feed says nothing for. */
const RELEASES: Readonly<Record<string, string>> = {
  jessie: 'Debian:8',
  stretch: 'Debian:9',
  buster: 'Debian:10',
  bullseye: 'Debian:11',
  bookworm: 'Debian:12',
  trixie: 'Debian:13',
  forky: 'Debian:14',
  duke: 'Debian:15',
  sid: 'Debian:sid',
};

export function parseDebianTracker(document: JsonRecord): ParsedFeed {
  const byCve = new Map<string, { summary: string; urgency: string; affected: AffectedPackage[] }>();
  const ecosystems = new Set<string>();
  for (const [source, cves] of Object.entries(document)) {
    for (const [id, raw] of Object.entries(recordOf(cves) ?? {})) {
      // Also `TEMP-0000000-ABCDEF`, for what has no number yet.
      const entry = recordOf(raw);
      if (entry === undefined) throw malformedFeed('debian', `${source} ${id} is no entry`);
      // Where no release is named, the tracker writes an empty list.
      const releases = recordOf(entry['releases']) ?? {};
      const advisory = byCve.get(id) ?? { summary: textAt(entry, 'description'), urgency: '', affected: [] };
      byCve.set(id, advisory);
      if (byCve.size > MAX_ADVISORIES_OF_A_FEED)
        throw malformedFeed('debian', `more than ${MAX_ADVISORIES_OF_A_FEED} CVEs`);
      for (const [codename, each] of Object.entries(releases)) {
        const release = recordOf(each);
        const ecosystem = Object.hasOwn(RELEASES, codename) ? RELEASES[codename] : undefined;
        if (ecosystem === undefined || release === undefined) continue;
        ecosystems.add(ecosystem);
        advisory.urgency ||= textAt(release, 'urgency');
        advisory.affected.push(affectedOf(ecosystem, source, release));
      }
    }
  }
  if (byCve.size === 0) throw malformedFeed('debian', 'names no CVE');
  const advisories = [...byCve].map(([id, { summary, urgency, affected }]): Advisory => ({
    id,
    vulnerabilities: [id],
    summary: summaryOf(summary),
    severity: severityOfWord(urgency),
    affected,
  }));
  return { kind: 'debian', name: 'debian', ecosystems: [...ecosystems], advisories };
}

function affectedOf(ecosystem: string, name: string, release: JsonRecord): AffectedPackage {
  const fixed = textAt(release, 'fixed_version');
  const status = statusOf(release, fixed);
  return { ecosystem, name, status, ranges: [['0', fixed === '0' ? '' : fixed, '']], versions: [], module: '' };
}

function statusOf(release: JsonRecord, fixed: string): AdvisoryStatus {
  const urgency = textAt(release, 'urgency');
  // Version 0 is how the tracker says that no version of this release ever had it.
  if (fixed === '0') return 'not-affected';
  if (textAt(release, 'status') === 'undetermined') return 'undetermined';
  if (urgency === 'end-of-life') return 'end-of-life';
  const reason = textAt(release, 'nodsa_reason');
  if (fixed === '' && reason === 'ignored') return 'ignored';
  // `nodsa`: not worth an update of its own.
  if (urgency === 'unimportant' || (fixed === '' && 'nodsa' in release)) return 'minor';
  return 'affected';
}
