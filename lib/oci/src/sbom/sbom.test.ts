import { describe, expect, it } from 'vitest';
import { makeImage } from '../../testing/make-image.ts';
import { INSPECTORS } from '../inspection/catalogue.ts';
import { OciError } from '../oci-error.ts';
import { installedPackages } from '../packages/installed-packages.ts';
import { renderCycloneDx } from './cyclonedx.ts';
import { isLicenceExpression } from './licence-expression.ts';
import { parseSbom } from './parse-sbom.ts';
import { renderLicences } from './licences.ts';
import type { SbomSubject } from './sbom.ts';
import { renderSpdx } from './spdx.ts';

const STATUS = `Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl
Version: 3.0.11-1~deb12u2

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Source: gcc-12 (12.2.0-13)
Version: 1:12.2.0-14
`;
const APK = 'P:busybox\nV:1.36.1-r15\nA:x86_64\nL:GPL-2.0-only\n\nP:odd\nV:1\nL:see file\n\n';
const SUBJECT: SbomSubject = {
  name: 'example:1',
  digest: `sha256:${'a'.repeat(64)}`,
  created: '2024-05-01T10:00:00.5Z',
  layers: ['sha256:one'],
};
const PACKAGES = installedPackages(
  makeImage({
    layers: [
      {
        'var/lib/dpkg/status': STATUS,
        'lib/apk/db/installed': APK,
        'etc/os-release': 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12"\n',
      },
    ],
    inspectors: INSPECTORS,
  }),
);
const FORMATS = [
  ['CycloneDX', renderCycloneDx],
  ['SPDX', renderSpdx],
] as const;

describe.each(FORMATS)('%s', (format, render) => {
  const text = render(SUBJECT, PACKAGES);

  it('gives the same bytes for the same image, in whatever order its packages come', () => {
    expect(render(SUBJECT, { ...PACKAGES, packages: PACKAGES.packages.toReversed() })).toBe(text);
  });

  it('is read back with all that advisories are looked up by', () => {
    const parsed = parseSbom(new TextEncoder().encode(text));
    expect(parsed).toMatchObject({ format, name: 'example:1' });
    expect(parsed.packages.distribution).toMatchObject({ id: 'debian', version: '12' });
    expect(parsed.packages.unread).toEqual([]);
    const words = (list: typeof PACKAGES.packages): readonly string[] =>
      list
        .map((each) =>
          [each.type, each.name, each.version, each.source, each.sourceVersion, each.licence, each.path].join(),
        )
        .toSorted();
    expect(words(parsed.packages.packages)).toEqual(words(PACKAGES.packages));
  });

  it('says so where it is not whole', () => {
    const unread = [{ path: 'var/lib/rpm/Packages', layer: 0, why: 'magic' }];
    expect(render(SUBJECT, { ...PACKAGES, unread })).toMatch(/incomplete/);
  });
});

describe('renderCycloneDx()', () => {
  it('tells a licence that the package names from one that was read out of its texts', () => {
    const [first] = PACKAGES.packages;
    const packages = first === undefined ? [] : [{ ...first, licence: '', concludedLicence: 'MIT' }];
    for (const [, render] of FORMATS) {
      const written = render(SUBJECT, { ...PACKAGES, packages });
      expect(written).toMatch(/"licenseConcluded": "MIT"|"expression": "MIT",\s+"acknowledgement": "concluded"/);
      expect(written).not.toMatch(/"licenseDeclared": "MIT"|"acknowledgement": "declared"/);
    }
  });

  it('keeps licences of SPDX and free text apart', () => {
    const text = renderCycloneDx(SUBJECT, PACKAGES);
    expect(text).toContain('"expression": "GPL-2.0-only"');
    expect(text).toContain('"name": "see file"');
  });
});

describe('parseSbom()', () => {
  it('reads what Trivy and Syft write', () => {
    const parsed = parseSbom(
      json({
        bomFormat: 'CycloneDX',
        components: [
          { type: 'operating-system', name: 'alpine', version: '3.19.1' },
          {
            type: 'library',
            name: 'libcrypto3',
            purl: 'pkg:apk/alpine/libcrypto3@3.1.4-r5?arch=x86_64&distro=3.19.1',
            properties: [
              { name: 'aquasecurity:trivy:SrcName', value: 'openssl' },
              { name: 'aquasecurity:trivy:SrcVersion', value: '3.1.4-r5' },
            ],
          },
          { type: 'library', name: 'a', purl: 'pkg:deb/debian/libssl3@3?distro=debian-12&upstream=openssl' },
        ],
      }),
    );
    expect(parsed.packages.distribution).toMatchObject({ id: 'alpine', version: '3.19.1' });
    expect(parsed.packages.packages.map(({ source }) => source)).toEqual(['openssl', 'openssl']);
  });

  it('counts what has no package URL: it is not known to be clean', () => {
    const parsed = parseSbom(
      json({
        bomFormat: 'CycloneDX',
        components: [
          { type: 'library', name: 'x', version: '1' },
          { type: 'file', name: 'f' },
        ],
      }),
    );
    expect(parsed.packages.unread).toMatchObject([
      { why: '1 components have no package URL that could be looked up, as x 1' },
    ]);
  });

  let nested: object = { type: 'library', name: 'x' };
  for (let depth = 0; depth < 40; depth += 1) nested = { components: [nested] };
  it.each<readonly [string, Uint8Array]>([
    ['no JSON', new TextEncoder().encode('{')],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22])],
    ['a list', json([])],
    ['another format', json({ spdxVersion: 'SPDX-3.0' })],
    ['components too deep', json({ bomFormat: 'CycloneDX', components: [nested] })],
    ['a bad package URL', json({ bomFormat: 'CycloneDX', components: [{ purl: 'http://x' }] })],
  ])('refuses %s', (_what, bytes) => {
    expect(() => parseSbom(bytes)).toThrow(OciError);
  });

  it.each([[1], ['x'], [null], [[[]]], [{}], [[null, 1, 'x', { purl: 1, properties: 1, licenses: [1] }]]])(
    'takes components %j for none, or for such as are not known',
    (components) => {
      for (const document of [
        { bomFormat: 'CycloneDX', components },
        { spdxVersion: 'SPDX-2.3', packages: components },
      ]) {
        expect(parseSbom(json(document)).packages.packages).toEqual([]);
      }
    },
  );
});

describe('isLicenceExpression()', () => {
  it.each([['MIT'], ['(MIT OR Apache-2.0) AND BSD-3-Clause'], ['GPL-2.0+'], ['Apache-2.0 WITH LLVM-exception']])(
    '%s is one',
    (text) => expect(isLicenceExpression(text)).toBe(true),
  );
  it.each([[''], ['GPL'], ['MIT,'], ['MIT OR'], ['(MIT'], ['MIT)'], ['MIT MIT'], ['()']])('%j is none', (text) =>
    expect(isLicenceExpression(text)).toBe(false),
  );
});

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

it('renderLicences() groups packages, says what was concluded, and leaves out none that says nothing', () => {
  const [first] = PACKAGES.packages;
  if (first === undefined) throw new Error('no package');
  const packages = [
    { ...first, name: 'a', licence: 'MIT' },
    { ...first, name: 'b', licence: '' },
    { ...first, name: 'c', licence: '', concludedLicence: 'ISC' },
    { ...first, name: 'd', licence: 'MIT' },
    { ...first, name: 'e\n\u202e', licence: 'Zlib' },
  ];
  expect(renderLicences({ ...PACKAGES, packages }).split('\n')).toEqual([
    'MIT\t2\ta, d',
    'ISC (read out of the text)\t1\tc',
    'Zlib\t1\te ',
    'not said\t1\tb',
    '',
  ]);
});
