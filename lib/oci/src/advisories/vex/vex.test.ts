import { describe, expect, it } from 'vitest';
import { OciError } from '../../oci-error.ts';
import type { JsonRecord } from '../../json-value.ts';
import type { ImagePackages } from '../../packages/installed-packages.ts';
import { UNKNOWN_DISTRIBUTION } from '../../packages/os-release.ts';
import { makePackage } from '../../packages/package-fact.ts';
import { sourceOfFeeds } from '../advisory-source.ts';
import { parseFeed } from '../feeds/parse-feed.ts';
import { judgeVulnerabilities } from '../judge-vulnerabilities.ts';
import { parseVex } from './parse-vex.ts';

const CVE = 'CVE-2023-32681';
const DIGEST = `sha256:${'a'.repeat(64)}`;
const parsed = parseFeed([
  {
    id: 'GHSA-1',
    aliases: [CVE],
    affected: [
      {
        package: { ecosystem: 'PyPI', name: 'requests' },
        ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed: '2.31.0' }] }],
      },
    ],
  },
]);
const SOURCE = sourceOfFeeds(parsed.what === 'advisories' ? [parsed.feed] : []);
const REQUESTS = makePackage('pypi', { name: 'requests', version: '2.28.1' });
const PACKAGES: ImagePackages = {
  distribution: UNKNOWN_DISTRIBUTION,
  unread: [],
  packages: REQUESTS === undefined ? [] : [{ ...REQUESTS, path: 'x', layer: 0, ownedBy: '' }],
};
const openVex = (statement: JsonRecord): JsonRecord => ({
  '@context': 'https://openvex.dev/ns/v0.2.0',
  author: 'Acme Security',
  statements: [{ vulnerability: { name: CVE }, status: 'not_affected', ...statement }],
});
const csaf = (flags: readonly unknown[]): JsonRecord => ({
  document: { csaf_version: '2.0', publisher: { name: 'Acme Security' } },
  product_tree: {
    branches: [
      {
        branches: [
          { product: { product_id: 'P', product_identification_helper: { purl: 'pkg:pypi/requests@2.28.1' } } },
        ],
      },
    ],
  },
  vulnerabilities: [{ cve: CVE, product_status: { known_not_affected: ['P', 'unknown'] }, flags }],
});
const REASON = 'vulnerable_code_not_in_execute_path';
const cycloneDx = (analysis: JsonRecord, ref = 'r'): JsonRecord => ({
  bomFormat: 'CycloneDX',
  metadata: { supplier: { name: 'Acme Security' } },
  components: [{ 'bom-ref': 'r', purl: 'pkg:pypi/requests@2.28.1' }],
  vulnerabilities: [{ id: CVE, analysis, affects: [{ ref }] }],
});

describe('parseVex()', () => {
  it.each<readonly [string, JsonRecord]>([
    ['OpenVEX', openVex({ justification: REASON, products: [{ '@id': 'pkg:pypi/requests@2.28.1' }] })],
    ['OpenVEX, of all versions', openVex({ justification: REASON, products: [{ '@id': 'pkg:pypi/requests' }] })],
    [
      'OpenVEX, of this image',
      openVex({
        justification: REASON,
        products: [{ '@id': `pkg:oci/app@${DIGEST}`, subcomponents: [{ '@id': 'pkg:pypi/requests' }] }],
      }),
    ],
    ['CSAF', csaf([{ label: REASON, product_ids: ['P'] }])],
    ['CycloneDX', cycloneDx({ state: 'not_affected', justification: REASON })],
    [
      'CycloneDX, by a link',
      cycloneDx({ state: 'false_positive', justification: REASON }, 'urn:cdx:x/1#pkg:pypi/requests@2.28.1'),
    ],
  ])('%s is heeded, and its reason shown', (_what, document) => {
    expect(judged(document)).toMatchObject([
      {
        rule: 'vulnerability-excluded',
        severity: 'info',
        message: expect.stringContaining(`not affected by the word of Acme Security: ${REASON}`),
      },
    ]);
  });

  it.each<readonly [string, JsonRecord]>([
    ['no reason', openVex({ products: [{ '@id': 'pkg:pypi/requests' }] })],
    ['another version', openVex({ justification: REASON, products: [{ '@id': 'pkg:pypi/requests@2.0' }] })],
    ['another package', openVex({ justification: REASON, products: [{ '@id': 'pkg:pypi/urllib3' }] })],
    [
      'another image',
      openVex({
        justification: REASON,
        products: [{ '@id': `pkg:oci/app@sha256:${'b'.repeat(64)}`, subcomponents: [{ '@id': 'pkg:pypi/requests' }] }],
      }),
    ],
    [
      'any image of a name',
      openVex({
        justification: REASON,
        products: [{ '@id': 'pkg:oci/app?tag=1', subcomponents: [{ '@id': 'pkg:pypi/requests' }] }],
      }),
    ],
    ['affected', openVex({ status: 'affected', products: [{ '@id': 'pkg:pypi/requests' }] })],
    ['CSAF without a flag', csaf([])],
    ['CycloneDX in triage', cycloneDx({ state: 'in_triage', justification: REASON })],
  ])('%s changes nothing', (_what, document) => {
    expect(judged(document)).toMatchObject([{ rule: 'known-vulnerability' }]);
  });

  it.each([['{'], ['[]'], ['{}'], ['{"bomFormat":"CycloneDX"}']])('refuses %s', (text) => {
    expect(() => parseVex(new TextEncoder().encode(text))).toThrow(OciError);
  });

  it.each([[1], ['x'], [null], [[null, 1, {}]], [{}]])('takes %j for no statement, wherever it stands', (odd) => {
    for (const document of [
      { '@context': 'https://openvex.dev/ns', statements: odd },
      openVex({ products: odd, vulnerability: odd }),
      { ...csaf([odd]), product_tree: { branches: odd, relationships: odd } },
      { ...cycloneDx({ state: 'resolved' }), components: odd },
      { bomFormat: 'CycloneDX', vulnerabilities: [odd] },
    ]) {
      expect(parseVex(new TextEncoder().encode(JSON.stringify(document)))).toEqual([]);
    }
  });
});

function judged(document: JsonRecord): ReturnType<typeof judgeVulnerabilities> {
  const vex = parseVex(new TextEncoder().encode(JSON.stringify(document)));
  return judgeVulnerabilities(PACKAGES, SOURCE, { vex, imageDigest: DIGEST });
}
