// Red Hat's VEX and advisories in CSAF 2.0, https://security.access.redhat.com/data/csaf/v2/: what is fixed, by binary package and
// its version; what is affected and how that will be answered, by source package. Only the main line of Enterprise Linux counts:
// the versions of its extended streams are their own.
import { compareVersions } from '../../versions/compare.ts';
import { listOf, recordOf, textAt, type JsonRecord } from '../../json-value.ts';
import {
  MAX_ADVISORIES_OF_A_FEED,
  MAX_ID_CHARACTERS,
  severityOfWord,
  summaryOf,
  type Advisory,
  type AdvisoryStatus,
  type AffectedPackage,
} from '../advisory.ts';
import { openProductTree, type CsafProduct } from '../csaf/product-tree.ts';
import { scoreCvss3, severityOfScore } from '../cvss/score.ts';
import { malformedFeed, type ParsedFeed } from './feed.ts';

const PLATFORM = /^cpe:(?:\/[ao]|2\.3:[ao]):redhat:enterprise_linux:(\d+)(?:[.:]|$)/;
/** `AppStream-8.9.0.Z.MAIN:nodejs:18:8090020231019152822:a75119d5:nodejs-1:18.18.2-2.x86_64`. */
const MODULE = /:([\w.+-]+):([\w.+-]+):\d{10,}:[0-9a-f]{4,}:/;
const PUBLISHER = 'https://www.redhat.com';

export function parseRedHatCsaf(documents: Iterable<JsonRecord>): ParsedFeed {
  const advisories: Advisory[] = [];
  for (const document of documents) {
    const meta = recordOf(document['document']);
    const tracking = textAt(recordOf(meta?.['tracking']), 'id');
    if (textAt(recordOf(meta?.['publisher']), 'namespace').replace(/\/$/, '') !== PUBLISHER) {
      throw malformedFeed('redhat', `${JSON.stringify(tracking.slice(0, 100))} is not published by ${PUBLISHER}`);
    }
    const productOf = openProductTree(document);
    const vulnerabilities = listOf(document['vulnerabilities']).map((each) => recordOf(each));
    for (const vulnerability of vulnerabilities) {
      const cve = textAt(vulnerability, 'cve');
      if (vulnerability === undefined || !/^CVE-\d{4}-\d{4,}$/.test(cve)) continue;
      advisories.push({
        id: (tracking === cve ? cve : `${tracking} ${cve}`).slice(0, MAX_ID_CHARACTERS),
        vulnerabilities: [cve],
        summary: summaryOf(textAt(vulnerability, 'title') || textAt(meta, 'title')),
        severity: severityOf(vulnerability),
        affected: affectedOf(vulnerability, productOf),
      });
      if (advisories.length > MAX_ADVISORIES_OF_A_FEED)
        throw malformedFeed('redhat', `more than ${MAX_ADVISORIES_OF_A_FEED} advisories`);
    }
  }
  if (advisories.length === 0) throw malformedFeed('redhat', 'names no CVE');
  const ecosystems = new Set(advisories.flatMap(({ affected }) => affected.map(({ ecosystem }) => ecosystem)));
  return { kind: 'redhat', name: 'redhat', ecosystems: [...ecosystems], advisories };
}

/** Red Hat's own rating; the score where it gave none. */
function severityOf(vulnerability: JsonRecord): Advisory['severity'] {
  const rated = listOf(vulnerability['threats'])
    .map((each) => recordOf(each))
    .filter((threat) => textAt(threat, 'category') === 'impact')
    .map((threat) => severityOfWord(textAt(threat, 'details')))
    .find((severity) => severity !== undefined);
  if (rated !== undefined) return rated;
  const scores = listOf(vulnerability['scores'])
    .map((each) => scoreCvss3(textAt(recordOf(recordOf(each)?.['cvss_v3']), 'vectorString')))
    .filter((score) => score !== undefined);
  return scores.length === 0 ? undefined : severityOfScore(Math.max(...scores));
}

function affectedOf(
  vulnerability: JsonRecord,
  productOf: (id: string) => CsafProduct | undefined,
): readonly AffectedPackage[] {
  const found = new Map<string, AffectedPackage>();
  const status = recordOf(vulnerability['product_status']);
  const idsOf = (name: string): readonly string[] => listOf(status?.[name]).filter((id) => typeof id === 'string');
  const add = (id: string, statusOfId: AdvisoryStatus, isFixed: boolean): void => {
    const product = productOf(id);
    const [, release] = PLATFORM.exec(product?.platform ?? '') ?? [];
    if (product === undefined || release === undefined) return;
    const { name, version, architecture, module: moduleOfSource } = componentOf(product);
    // The source RPM of a fix is built into the binary ones that stand beside it.
    if (name === '' || (isFixed && (version === '' || architecture === 'src'))) return;
    const [, moduleName, stream] = MODULE.exec(id) ?? [];
    const module = moduleName === undefined ? moduleOfSource : `${moduleName}:${stream}`;
    const key = [release, name, module, isFixed].join('\0');
    const before = found.get(key)?.ranges[0]?.[1] ?? '';
    // Fixed twice in one line: by the first of them.
    if (before !== '' && compareVersions('rpm', before, version) <= 0) return;
    found.set(key, {
      ecosystem: `Red Hat:${release}`,
      name,
      status: statusOfId,
      ranges: [['0', isFixed ? version : '', '']],
      versions: [],
      module,
    });
  };
  const answers = answersOf(vulnerability);
  for (const id of idsOf('fixed')) add(id, 'affected', true);
  for (const id of idsOf('known_affected')) add(id, answers.get(id) ?? 'affected', false);
  for (const id of idsOf('under_investigation')) add(id, 'undetermined', false);
  for (const id of idsOf('known_not_affected')) add(id, 'not-affected', false);
  return [...found.values()];
}

/** What Red Hat will do about a product that is affected. */
function answersOf(vulnerability: JsonRecord): ReadonlyMap<string, AdvisoryStatus> {
  const answers = new Map<string, AdvisoryStatus>();
  for (const each of listOf(vulnerability['remediations'])) {
    const remediation = recordOf(each);
    if (textAt(remediation, 'category') !== 'no_fix_planned') continue;
    const answer = /out of support/i.test(textAt(remediation, 'details')) ? 'end-of-life' : 'ignored';
    for (const id of listOf(remediation?.['product_ids'])) if (typeof id === 'string') answers.set(id, answer);
  }
  return answers;
}

interface Component {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly module: string;
}

/** By its package URL, `pkg:rpm/redhat/openssl@3.0.7-27.el9?arch=x86_64&epoch=1`; source packages have no version, and some no URL. */
function componentOf({ id, purl }: CsafProduct): Component {
  const [, name = '', version = '', query = ''] =
    /^pkg:rpm\/redhat\/([^@?#]+)(?:@([^?#]*))?(?:\?([^#]*))?/.exec(purl) ?? [];
  const qualifier = (key: string): string => new RegExp(`(?:^|&)${key}=([^&]*)`).exec(query)?.[1] ?? '';
  if (name === '') {
    // `nodejs:18/nodejs` is the package of a module, `openssl` one of none.
    const [, module = '', source = ''] = /^(?:([\w.+-]+:[\w.+-]+)\/)?([\w.+-]+)$/.exec(id) ?? [];
    return { name: source, version: '', architecture: 'src', module };
  }
  const epoch = qualifier('epoch');
  const decoded = plain(version);
  return {
    name: plain(name),
    version: epoch === '' || epoch === '0' ? decoded : `${epoch}:${decoded}`,
    architecture: qualifier('arch'),
    module: '',
  };
}

function plain(text: string): string {
  return text.replaceAll(/%2B/gi, '+').replaceAll(/%3A/gi, ':').replaceAll(/%7E/gi, '~').replaceAll(/%5E/gi, '^');
}
