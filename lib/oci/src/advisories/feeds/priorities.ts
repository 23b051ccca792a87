// What helps to decide which vulnerability comes first: CISA's catalogue of those that are exploited (KEV), and the probability
// of exploitation in the next 30 days (EPSS, https://www.first.org/epss/data_stats).
import { listOf, recordOf, textAt, type JsonRecord } from '../../json-value.ts';
import { malformedFeed } from './feed.ts';

export interface Priority {
  /** Between 0 and 1; undefined where nobody says. */
  readonly epss: number | undefined;
  /** When CISA put it into its catalogue, `2023-10-10`; '' where it is not in it. */
  readonly exploitedSince: string;
}

export function isKev(document: JsonRecord): boolean {
  return textAt(document, 'catalogVersion') !== '' && Array.isArray(document['vulnerabilities']);
}

/** By CVE. */
export function parseKev(document: JsonRecord): ReadonlyMap<string, string> {
  const dates = new Map<string, string>();
  for (const each of listOf(document['vulnerabilities'])) {
    const entry = recordOf(each);
    const [cve, date] = [textAt(entry, 'cveID'), textAt(entry, 'dateAdded')];
    if (!/^CVE-\d{4}-\d{4,12}$/.test(cve) || !/^\d{4}-\d\d-\d\d$/.test(date))
      throw malformedFeed('kev', 'has an entry without CVE or date');
    dates.set(cve, date);
  }
  if (dates.size === 0) throw malformedFeed('kev', 'names no CVE');
  return dates;
}

export function isEpss(text: string): boolean {
  return /^(?:#model_version[^\n]*\n)?cve,epss,percentile\r?\n/.test(text.slice(0, 500));
}

/** By CVE. */
export function parseEpss(text: string): ReadonlyMap<string, number> {
  const scores = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, cve, epss] = /^(CVE-\d{4}-\d{4,12}),([\d.]+(?:e-\d+)?),/.exec(line) ?? [];
    const score = Number(epss);
    if (cve !== undefined && score >= 0 && score <= 1) scores.set(cve, score);
    else if (line.startsWith('CVE-'))
      throw malformedFeed('epss', `line ${JSON.stringify(line.slice(0, 80))} has no probability`);
  }
  if (scores.size === 0) throw malformedFeed('epss', 'names no CVE');
  return scores;
}
