import { describe, expect, it } from 'vitest';
import { OciError } from '../../oci-error.ts';
import type { JsonRecord } from '../../json-value.ts';
import { parseRedHatCsaf } from './csaf.ts';

const platform = (id: string, cpe: string): JsonRecord => ({
  product: { product_id: id, product_identification_helper: { cpe } },
});
const component = (id: string, purl: string): JsonRecord => ({
  product: { product_id: id, product_identification_helper: { purl } },
});
const on = (place: string, id: string): JsonRecord => ({
  full_product_name: { product_id: `${place}:${id}` },
  product_reference: id,
  relates_to_product_reference: place,
});
const NODE = 'nodejs:18:8090020231019152822:a75119d5:nodejs-1:18.18.2-2.x86_64';
const DOCUMENT: JsonRecord = {
  document: {
    csaf_version: '2.0',
    publisher: { namespace: 'https://www.redhat.com' },
    tracking: { id: 'CVE-2023-5363' },
    title: 'openssl',
  },
  product_tree: {
    branches: [
      {
        branches: [
          platform('BaseOS-9.3.0.Z.MAIN', 'cpe:/o:redhat:enterprise_linux:9::baseos'),
          platform('BaseOS-9.2.0.Z.EUS', 'cpe:/o:redhat:rhel_eus:9.2::baseos'),
          platform('AppStream-8', 'cpe:/a:redhat:enterprise_linux:8::appstream'),
          platform('red_hat_enterprise_linux_7', 'cpe:/o:redhat:enterprise_linux:7'),
          component('openssl-1:3.0.7-25.el9_3.x86_64', 'pkg:rpm/redhat/openssl@3.0.7-25.el9_3?arch=x86_64&epoch=1'),
          component('openssl-1:3.0.7-25.el9_3.src', 'pkg:rpm/redhat/openssl@3.0.7-25.el9_3?arch=src&epoch=1'),
          component(NODE, 'pkg:rpm/redhat/nodejs@18.18.2-2?arch=x86_64&epoch=1'),
          component('openssl', 'pkg:rpm/redhat/openssl?arch=src'),
        ],
      },
    ],
    relationships: [
      on('BaseOS-9.3.0.Z.MAIN', 'openssl-1:3.0.7-25.el9_3.x86_64'),
      on('BaseOS-9.3.0.Z.MAIN', 'openssl-1:3.0.7-25.el9_3.src'),
      on('BaseOS-9.2.0.Z.EUS', 'openssl-1:3.0.7-25.el9_3.x86_64'),
      on('AppStream-8', NODE),
      on('AppStream-8', 'openssl'),
      on('red_hat_enterprise_linux_7', 'openssl'),
      on('red_hat_enterprise_linux_7', 'openssl098e'),
      on('AppStream-8', 'nodejs:20/nodejs'),
    ],
  },
  vulnerabilities: [
    {
      cve: 'CVE-2023-5363',
      title: 'openssl: Incorrect cipher key and IV length processing',
      threats: [{ category: 'impact', details: 'Low' }],
      product_status: {
        fixed: [
          'BaseOS-9.3.0.Z.MAIN:openssl-1:3.0.7-25.el9_3.x86_64',
          'BaseOS-9.3.0.Z.MAIN:openssl-1:3.0.7-25.el9_3.src',
          'BaseOS-9.2.0.Z.EUS:openssl-1:3.0.7-25.el9_3.x86_64',
          `AppStream-8:${NODE}`,
        ],
        known_affected: ['red_hat_enterprise_linux_7:openssl098e', 'AppStream-8:nodejs:20/nodejs'],
        known_not_affected: ['red_hat_enterprise_linux_7:openssl'],
        under_investigation: ['AppStream-8:openssl'],
      },
      remediations: [
        {
          category: 'no_fix_planned',
          details: 'Out of support scope',
          product_ids: ['red_hat_enterprise_linux_7:openssl098e'],
        },
      ],
    },
  ],
};

describe('parseRedHatCsaf()', () => {
  it('reads fixes by binary package, answers by source package, streams of modules; and no extended stream', () => {
    const { ecosystems, advisories } = parseRedHatCsaf([DOCUMENT]);
    expect(advisories).toMatchObject([{ id: 'CVE-2023-5363', severity: 'low' }]);
    expect(
      advisories[0]?.affected.map((each) =>
        [each.ecosystem, each.name, each.status, each.ranges[0]?.[1], each.module].join(' '),
      ),
    ).toEqual([
      'Red Hat:9 openssl affected 1:3.0.7-25.el9_3 ',
      'Red Hat:8 nodejs affected 1:18.18.2-2 nodejs:18',
      'Red Hat:7 openssl098e end-of-life  ',
      'Red Hat:8 nodejs affected  nodejs:20',
      'Red Hat:8 openssl undetermined  ',
      'Red Hat:7 openssl not-affected  ',
    ]);
    expect(ecosystems.toSorted()).toEqual(['Red Hat:7', 'Red Hat:8', 'Red Hat:9']);
  });

  it('refuses documents of other publishers, and such as name no CVE', () => {
    expect(() => parseRedHatCsaf([{ ...DOCUMENT, document: { csaf_version: '2.0' } }])).toThrow(OciError);
    expect(() => parseRedHatCsaf([{ ...DOCUMENT, vulnerabilities: [] }])).toThrow(OciError);
  });

  it.each([[1], [null], ['x'], [[null, 1, 'x', {}]]])('takes %j for nothing, wherever it stands', (odd) => {
    const vulnerabilities = [
      {
        cve: 'CVE-2023-5363',
        product_status: { fixed: odd, known_affected: odd },
        threats: odd,
        scores: odd,
        remediations: odd,
      },
    ];
    for (const tree of [odd, { branches: odd, relationships: odd, full_product_names: odd }]) {
      expect(parseRedHatCsaf([{ ...DOCUMENT, vulnerabilities, product_tree: tree }]).advisories).toMatchObject([
        { affected: [] },
      ]);
    }
  });
});
