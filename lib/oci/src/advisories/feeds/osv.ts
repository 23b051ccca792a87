// Advisories in the OSV schema 1.7, https://ossf.github.io/osv-schema/, as osv.dev dumps them: one document each, in a zip, a
// folder or lines.
import { listOf, recordOf, textAt, type JsonRecord } from '../../json-value.ts';
import { schemeOfEcosystem } from '../../versions/compare.ts';
import {
  MAX_ADVISORIES_OF_A_FEED,
  MAX_ID_CHARACTERS,
  severityOfWord,
  summaryOf,
  vulnerabilitiesOf,
  type Advisory,
  type AffectedPackage,
  type VersionRange,
} from '../advisory.ts';
import { scoreCvss3, severityOfScore } from '../cvss/score.ts';
import { malformedFeed, type ParsedFeed } from './feed.ts';

/** Of one package in one advisory: packages of npm that were malicious name some hundred. */
const MAX_VERSIONS = 5000;
const MAX_RANGES = 500;

export function isOsv(document: JsonRecord): boolean {
  return textAt(document, 'id') !== '' && Array.isArray(document['affected']);
}

/**
 * A dump of one ecosystem names others in passing: it speaks for those that each of its advisories is about, or for all where
 * it is a mixture. What it says of others is left out: a few advisories would pass for a feed.
 */
export function parseOsv(documents: Iterable<JsonRecord>): ParsedFeed {
  const advisories: Advisory[] = [];
  let common: ReadonlySet<string> | undefined;
  const seen = new Set<string>();
  for (const document of documents) {
    // A withdrawn one says nothing any more.
    if (textAt(document, 'withdrawn') !== '') continue;
    const advisory = advisoryOf(document);
    const bases = new Set(advisory.affected.map(({ ecosystem }) => baseOf(ecosystem)));
    // Of repositories of source code alone, or of ecosystems that this package cannot compare.
    if (bases.size === 0) continue;
    for (const base of bases) seen.add(base);
    common = common === undefined ? bases : common.intersection(bases);
    advisories.push(advisory);
    if (advisories.length > MAX_ADVISORIES_OF_A_FEED)
      throw malformedFeed('osv', `more than ${MAX_ADVISORIES_OF_A_FEED} advisories`);
  }
  if (common === undefined) throw malformedFeed('osv', 'names no package that could be looked up');
  const covered = common.size === 0 ? seen : common;
  const kept = advisories.map((advisory) => ({
    ...advisory,
    affected: advisory.affected.filter(({ ecosystem }) => covered.has(baseOf(ecosystem))),
  }));
  const ecosystems = new Set(kept.flatMap(({ affected }) => affected.map(({ ecosystem }) => ecosystem)));
  const name = covered.size === 1 ? `osv/${[...covered].join('')}` : 'osv/all';
  return { kind: 'osv', name, ecosystems: [...ecosystems], advisories: kept };
}

function advisoryOf(document: JsonRecord): Advisory {
  const id = textAt(document, 'id');
  if (id === '' || id.length > MAX_ID_CHARACTERS)
    throw malformedFeed('osv', `an advisory is called ${JSON.stringify(id.slice(0, 100))}`);
  const others = [...listOf(document['aliases']), ...listOf(document['upstream'])].filter(
    (each) => typeof each === 'string',
  );
  return {
    id,
    vulnerabilities: vulnerabilitiesOf(id, others),
    summary: summaryOf(textAt(document, 'summary') || textAt(document, 'details')),
    severity: severityOf(document),
    affected: listOf(document['affected']).flatMap((each) => affectedOf(id, recordOf(each))),
  };
}

function severityOf(document: JsonRecord): Advisory['severity'] {
  const affected = listOf(document['affected']).map((each) => recordOf(each));
  const rated = [document, ...affected].flatMap((each) => listOf(each?.['severity']).map((one) => recordOf(one)));
  const scores = rated.map((one) => scoreCvss3(textAt(one, 'score'))).filter((score) => score !== undefined);
  if (scores.length > 0) return severityOfScore(Math.max(...scores));
  const words = [document, ...affected].flatMap((each) => [
    textAt(recordOf(each?.['database_specific']), 'severity'),
    textAt(recordOf(each?.['ecosystem_specific']), 'severity'),
    textAt(recordOf(each?.['ecosystem_specific']), 'urgency'),
  ]);
  return words.map((word) => severityOfWord(word)).find((severity) => severity !== undefined);
}

function affectedOf(id: string, affected: JsonRecord | undefined): readonly AffectedPackage[] {
  const found = recordOf(affected?.['package']);
  const [ecosystem, name] = [textAt(found, 'ecosystem'), textAt(found, 'name')];
  if (schemeOfEcosystem(ecosystem) === undefined || name === '') return [];
  const ranges = listOf(affected?.['ranges'])
    .map((each) => recordOf(each))
    .filter((range) => textAt(range, 'type') !== 'GIT')
    .flatMap((range) => rangesOf(listOf(range?.['events'])));
  const all = listOf(affected?.['versions']).filter((version) => typeof version === 'string');
  // Where ranges stand beside them, versions are the same said at length.
  const versions = ranges.length === 0 ? all : [];
  if (versions.length > MAX_VERSIONS || ranges.length > MAX_RANGES)
    throw malformedFeed('osv', `${id} names too many versions of ${name}`);
  if (versions.length === 0 && ranges.length === 0) return [];
  return [{ ecosystem, name: canonicalName(ecosystem, name), status: 'affected', ranges, versions, module: '' }];
}

/** Events stand in the order of versions, as the schema asks, so that each `introduced` begins a range. */
function rangesOf(events: readonly unknown[]): readonly VersionRange[] {
  const ranges: VersionRange[] = [];
  let open: string | undefined;
  for (const each of events) {
    const event = recordOf(each);
    const [introduced, fixed, last] = [
      textAt(event, 'introduced'),
      textAt(event, 'fixed'),
      textAt(event, 'last_affected'),
    ];
    if (introduced !== '') {
      if (open !== undefined) ranges.push([open, '', '']);
      open = introduced;
    } else if (fixed !== '' || last !== '') {
      ranges.push([open ?? '0', fixed, last]);
      open = undefined;
    }
  }
  if (open !== undefined) ranges.push([open, '', '']);
  return ranges;
}

/** PEP 503 for PyPI; the others are as they are written. */
export function canonicalName(ecosystem: string, name: string): string {
  if (ecosystem === 'PyPI') return name.toLowerCase().replaceAll(/[-_.]+/g, '-');
  if (ecosystem === 'NuGet' || ecosystem === 'Packagist') return name.toLowerCase();
  return name;
}

function baseOf(ecosystem: string): string {
  return ecosystem.split(':')[0] ?? '';
}
