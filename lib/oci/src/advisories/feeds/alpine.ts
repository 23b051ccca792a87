// The security databases of Alpine (https://secdb.alpinelinux.org), Wolfi and Chainguard (https://packages.wolfi.dev/os/security.json):
// origin package → version that fixed → CVEs. They know what was fixed, and nothing of what was not.
import { listOf, recordOf, textAt, type JsonRecord } from '../../json-value.ts';
import {
  MAX_ADVISORIES_OF_A_FEED,
  MAX_ID_CHARACTERS,
  vulnerabilitiesOf,
  type Advisory,
  type AffectedPackage,
} from '../advisory.ts';
import { malformedFeed, type ParsedFeed } from './feed.ts';

export function parseAlpineSecdb(document: JsonRecord): ParsedFeed {
  const { name, ecosystem, coverage } = namesOf(document);
  const byId = new Map<string, AffectedPackage[]>();
  for (const each of listOf(document['packages'])) {
    const found = recordOf(recordOf(each)?.['pkg']);
    const secfixes = recordOf(found?.['secfixes']);
    const origin = textAt(found, 'name');
    if (secfixes === undefined || origin === '') throw malformedFeed(name, 'has a package without name or fixes');
    for (const [fixed, ids] of Object.entries(secfixes)) {
      for (const id of idsOf(ids)) {
        const affected = byId.get(id) ?? [];
        byId.set(id, affected);
        if (byId.size > MAX_ADVISORIES_OF_A_FEED)
          throw malformedFeed(name, `more than ${MAX_ADVISORIES_OF_A_FEED} CVEs`);
        // Version 0: never affected.
        const status = fixed === '0' ? 'not-affected' : 'affected';
        affected.push({
          ecosystem,
          name: origin,
          status,
          ranges: [['0', fixed === '0' ? '' : fixed, '']],
          versions: [],
          module: '',
        });
      }
    }
  }
  if (byId.size === 0) throw malformedFeed(name, 'names no CVE');
  const advisories = [...byId].map(([id, affected]): Advisory => ({
    id,
    vulnerabilities: vulnerabilitiesOf(id, []),
    summary: '',
    severity: undefined,
    affected,
  }));
  return { kind: 'alpine', name, ecosystems: [coverage], advisories };
}

interface Names {
  readonly name: string;
  readonly ecosystem: string;
  /** What it speaks for. */
  readonly coverage: string;
}

/** A release has a file for each of its repositories, and no package says which it is from; Wolfi and Chainguard have one. */
function namesOf(document: JsonRecord): Names {
  const [release, repository] = [textAt(document, 'distroversion'), textAt(document, 'reponame')];
  if (release !== '') {
    const ecosystem = `Alpine:${release}`;
    return { name: `alpine/${release}/${repository}`, ecosystem, coverage: partOf(ecosystem, repository) };
  }
  const prefix = textAt(document, 'urlprefix');
  if (prefix.includes('wolfi')) return { name: 'wolfi', ecosystem: 'Wolfi', coverage: 'Wolfi' };
  if (prefix.includes('cgr.dev')) return { name: 'chainguard', ecosystem: 'Chainguard', coverage: 'Chainguard' };
  throw malformedFeed('alpine', 'names neither a release of Alpine, nor Wolfi or Chainguard');
}

const REPOSITORIES: readonly string[] = ['main', 'community'];

function partOf(ecosystem: string, repository: string): string {
  return `${ecosystem} ${repository}`;
}

/** Of those that feeds say: with both of its repositories a release of Alpine is covered. */
export function isCovered(ecosystem: string, said: ReadonlySet<string>): boolean {
  return said.has(ecosystem) || REPOSITORIES.every((repository) => said.has(partOf(ecosystem, repository)));
}

/** One entry may name several, and say something of them: `CVE-2019-1 CVE-2019-2 (+ regression fix)`. */
function idsOf(value: unknown): readonly string[] {
  const words = listOf(value).flatMap((each) => (typeof each === 'string' ? each.split(/[\s,]+/) : []));
  return words.filter((word) => /^[A-Z][A-Za-z]*-[\w-]*\d[\w-]*$/.test(word) && word.length <= MAX_ID_CHARACTERS);
}
