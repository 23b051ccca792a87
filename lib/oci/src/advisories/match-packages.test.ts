import { describe, expect, it } from 'vitest';
import type { Finding } from '../inspection/finding.ts';
import type { ImagePackages, InstalledPackage } from '../packages/installed-packages.ts';
import { UNKNOWN_DISTRIBUTION, type Distribution } from '../packages/os-release.ts';
import { makePackage, type PackageType } from '../packages/package-fact.ts';
import { sourceOfFeeds, type AdvisorySource } from './advisory-source.ts';
import type { JsonRecord } from '../json-value.ts';
import type { Priority } from './feeds/priorities.ts';
import { parseFeed } from './feeds/parse-feed.ts';
import { judgeVulnerabilities } from './judge-vulnerabilities.ts';
import { matchPackages } from './match-packages.ts';

const DEBIAN: Distribution = {
  ...UNKNOWN_DISTRIBUTION,
  id: 'debian',
  version: '12',
  codename: 'bookworm',
  name: 'Debian 12',
};
const ALPINE: Distribution = { ...UNKNOWN_DISTRIBUTION, id: 'alpine', version: '3.19.1', name: 'Alpine 3.19' };

const release = (fields: JsonRecord): JsonRecord => ({
  description: 'A hole. And more of it.',
  releases: { bookworm: { status: 'open', urgency: 'not yet assigned', ...fields } },
});
const TRACKER = {
  openssl: {
    'CVE-2024-0001': release({ status: 'resolved', fixed_version: '3.0.13-1~deb12u1', urgency: 'high' }),
    'CVE-2024-0002': release({ status: 'resolved', fixed_version: '0' }),
    'CVE-2024-0003': release({}),
    'CVE-2024-0004': release({ nodsa: 'Minor issue', nodsa_reason: '' }),
    'CVE-2024-0005': release({ nodsa: 'Too intrusive', nodsa_reason: 'ignored' }),
    'CVE-2024-0006': release({ urgency: 'end-of-life' }),
    'CVE-2024-0007': release({ status: 'undetermined' }),
    'CVE-2024-0008': release({ urgency: 'unimportant' }),
    'CVE-2024-0009': release({ status: 'resolved', fixed_version: '3.0.11-1' }),
  },
  requests: { 'CVE-2023-32681': release({ status: 'resolved', fixed_version: '2.28.1+dfsg-1' }) },
  linux: { 'CVE-2024-9999': release({}) },
};
const OSV_PYPI = [
  {
    id: 'GHSA-j8r2-6x86-q33q',
    aliases: ['CVE-2023-32681', 'PYSEC-2023-74'],
    summary: 'Unintended leak of Proxy-Authorization header in requests',
    severity: [{ type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:C/C:H/I:N/A:N' }],
    affected: [
      {
        package: { ecosystem: 'PyPI', name: 'Requests' },
        ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '2.3.0' }, { fixed: '2.31.0' }] }],
      },
    ],
  },
];
const SECDB = {
  distroversion: 'v3.19',
  reponame: 'main',
  packages: [{ pkg: { name: 'openssl', secfixes: { '3.1.4-r6': ['CVE-2024-0727'], 0: ['CVE-2023-0466'] } } }],
};

describe('matchPackages()', () => {
  it('keeps apart what is fixed, has no fix, is minor, ignored, over, unknown, and what does not concern it', () => {
    const { matches } = matchPackages(image(DEBIAN, deb('libssl3', '3.0.11-1~deb12u2', 'openssl')), source([TRACKER]));
    expect(matches.map(({ vulnerability, status, fixed }) => `${vulnerability.slice(-1)} ${status} ${fixed}`)).toEqual([
      '1 affected 3.0.13-1~deb12u1',
      '3 affected ',
      '4 minor ',
      '5 ignored ',
      '6 end-of-life ',
      '7 undetermined ',
      '8 minor ',
      // 3.0.11-1~deb12u2 is before 3.0.11-1: a tilde sorts below the end.
      '9 affected 3.0.11-1',
    ]);
  });

  it('compares the version of the source package, by its name', () => {
    const tracker = {
      'gcc-12': { 'CVE-2023-4039': release({ status: 'resolved', fixed_version: '12.2.0-14+deb12u1' }) },
    };
    const found = { ...deb('libgcc-s1', '1:99', 'gcc-12'), sourceVersion: '12.2.0-14' };
    expect(matchPackages(image(DEBIAN, found), source([tracker])).matches).toHaveLength(1);
    expect(
      matchPackages(image(DEBIAN, { ...found, sourceVersion: '12.2.0-15' }), source([tracker])).matches,
    ).toHaveLength(0);
  });

  it('takes the word of the distribution for a Python package that Debian has built', () => {
    const [byDebian, byItself] = [pypi('requests', '2.28.1', 'python3-requests'), pypi('requests', '2.28.1', '')];
    const debian = deb('python3-requests', '2.28.1+dfsg-1', 'requests');
    const both = source([TRACKER], OSV_PYPI);
    expect(matchPackages(image(DEBIAN, debian, byDebian), both)).toMatchObject({ matches: [], ownedByDistribution: 1 });
    expect(matchPackages(image(DEBIAN, debian, byItself), both).matches).toMatchObject([
      { vulnerability: 'CVE-2023-32681', fixed: '2.31.0' },
    ]);
    // Without the distribution's feed there is no word of it: upstream's is better than none.
    expect(matchPackages(image(DEBIAN, debian, byDebian), source(OSV_PYPI)).matches).toHaveLength(1);
  });

  it('prefers the tracker to a collection on the same CVE', () => {
    const osv = {
      id: 'DSA-1',
      aliases: [],
      upstream: ['CVE-2024-0002', 'CVE-2024-0100'],
      affected: [
        {
          package: { ecosystem: 'Debian:12', name: 'openssl' },
          ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }] }],
        },
      ],
    };
    const ids = matchPackages(image(DEBIAN, deb('libssl3', '9', 'openssl')), source([TRACKER], [osv])).matches;
    expect(ids.map(({ vulnerability }) => vulnerability)).toContain('CVE-2024-0100');
    expect(ids.map(({ vulnerability }) => vulnerability)).not.toContain('CVE-2024-0002');
  });

  it('looks for Alpine by origin, in the release of the image', () => {
    const found = installed('apk', { name: 'libcrypto3', version: '3.1.4-r5', source: 'openssl' });
    const half = matchPackages(image(ALPINE, found), source([SECDB]));
    expect(half.unjudged).toMatchObject([{ ecosystem: 'Alpine:v3.19', why: 'no feed' }]);
    expect(half.matches).toHaveLength(1);
    const whole = matchPackages(image(ALPINE, found), source([SECDB], [{ ...SECDB, reponame: 'community' }]));
    expect(whole.unjudged).toEqual([]);
    expect(whole.matches).toMatchObject([{ vulnerability: 'CVE-2024-0727', fixed: '3.1.4-r6' }]);
    const newer = matchPackages(image({ ...ALPINE, version: '3.20.0' }, found), source([SECDB]));
    expect(newer).toMatchObject({ matches: [], unjudged: [{ ecosystem: 'Alpine:v3.20', why: 'no feed' }] });
  });

  it('names what no feed is there for, and what no feed is known for', () => {
    const odd = { ...UNKNOWN_DISTRIBUTION, id: 'gentoo', name: 'Gentoo' };
    expect(matchPackages(image(odd, deb('x', '1', 'x')), source([TRACKER])).unjudged).toMatchObject([
      { ecosystem: 'Gentoo', why: 'unknown distribution' },
    ]);
    expect(matchPackages(image(DEBIAN, pypi('x', '1', '')), source([TRACKER])).unjudged).toMatchObject([
      { ecosystem: 'PyPI', why: 'no feed' },
    ]);
  });

  it('takes neither headers nor an image of a kernel for the kernel that runs', () => {
    const packages = [
      deb('linux-libc-dev', '6.1.55-1', 'linux'),
      deb('linux-image-6.1.0-13-amd64', '6.1.55-1', 'linux-signed-amd64'),
    ];
    const { matches, kernels } = matchPackages(
      image(DEBIAN, ...packages, deb('bpftool', '7.1', 'linux')),
      source([TRACKER]),
    );
    expect(kernels.map(({ name }) => name)).toEqual(['linux-libc-dev', 'linux-image-6.1.0-13-amd64']);
    expect(matches.map(({ found }) => found.name)).toEqual(['bpftool']);
  });

  it('does not take a version that nobody can compare for a fixed one', () => {
    const found = deb('libssl3', `9${'.9'.repeat(400)}`, 'openssl');
    expect(matchPackages(image(DEBIAN, found), source([TRACKER])).matches.length).toBeGreaterThan(7);
  });
});

describe('judgeVulnerabilities()', () => {
  it('hints that no program is linked with a library, and finds nothing less bad for it', () => {
    const packages = image(DEBIAN, deb('libssl3', '3.0.11-1~deb12u1', 'openssl'));
    const plain = judgeVulnerabilities(packages, source([TRACKER]));
    const hinted = judgeVulnerabilities({ ...packages, unlinked: new Set(['libssl3']) }, source([TRACKER]));
    expect(
      hinted.some(({ message }) => message.includes('a hint: no program of the image is linked with libssl3')),
    ).toBe(true);
    const judged = plain.map(({ rule, severity, fix }) => ({ rule, severity, fix }));
    expect(hinted).toMatchObject(judged);
  });

  it('tells binary packages of one source as one finding, with the smallest change', () => {
    const packages = image(
      DEBIAN,
      deb('libssl3', '3.0.11-1~deb12u2', 'openssl'),
      deb('openssl', '3.0.11-1~deb12u2', 'openssl'),
    );
    const found = judgeVulnerabilities(packages, source([TRACKER])).find(
      ({ subject }) => subject === 'openssl CVE-2024-0001',
    );
    expect(found).toMatchObject({
      rule: 'known-vulnerability',
      severity: 'high',
      message:
        'CVE-2024-0001 in openssl 3.0.11-1~deb12u2, as libssl3, openssl, (fixed in 3.0.13-1~deb12u1): A hole. And more of it.',
      fix: 'RUN apt-get update && apt-get install -y --only-upgrade libssl3 openssl && rm -rf /var/lib/apt/lists/*',
    });
  });

  it.each<readonly [Priority, string]>([
    [{ epss: undefined, exploitedSince: '' }, 'medium'],
    [{ epss: 0.01, exploitedSince: '' }, 'medium'],
    [{ epss: 0.5, exploitedSince: '' }, 'high'],
    [{ epss: 0.01, exploitedSince: '2024-01-01' }, 'critical'],
  ])('raises what is exploited, and what likely will be: %j is %s', (priority, severity) => {
    const advisories = source([TRACKER], OSV_PYPI, new Map([['CVE-2023-32681', priority]]));
    const [finding] = judgeVulnerabilities(image(DEBIAN, pypi('requests', '2.28.1', '')), advisories);
    expect(finding?.severity).toBe(severity);
  });

  it('has a rule of its own for each answer that is no fix', () => {
    const findings = judgeVulnerabilities(
      image(DEBIAN, deb('libssl3', '3.0.11-1~deb12u2', 'openssl')),
      source([TRACKER]),
    );
    const ruleOf = (cve: string): string | undefined =>
      findings.find(({ subject }: Finding) => subject.endsWith(cve))?.rule;
    expect(['3', '4', '5', '6', '7'].map((each) => ruleOf(`000${each}`))).toEqual([
      'vulnerability-without-fix',
      'vulnerability-minor',
      'vulnerability-not-to-be-fixed',
      'vulnerability-end-of-life',
      'vulnerability-undetermined',
    ]);
  });

  it('puts no name into a command that a shell would read otherwise', () => {
    const findings = judgeVulnerabilities(
      image(DEBIAN, { ...deb('x; rm -rf /', '3.0.11-1~deb12u2', 'openssl') }),
      source([TRACKER]),
    );
    expect(findings.map(({ fix }) => fix).join('')).toBe('');
  });

  it('tells an empty database as what it is', () => {
    const findings = judgeVulnerabilities(image(DEBIAN, deb('libssl3', '1', 'openssl')), sourceOfFeeds([]));
    expect(findings).toMatchObject([{ rule: 'packages-unjudged', subject: 'Debian:12' }]);
  });
});

function image(distribution: Distribution, ...packages: readonly InstalledPackage[]): ImagePackages {
  return { distribution, packages, unread: [] };
}

function installed(type: PackageType, fields: Readonly<Record<string, string>>, ownedBy = ''): InstalledPackage {
  const found = makePackage(type, fields);
  if (found === undefined) throw new Error('no package');
  return { ...found, path: 'x', layer: 0, ownedBy };
}

function deb(name: string, version: string, from: string): InstalledPackage {
  return installed('deb', { name, version, source: from });
}

function pypi(name: string, version: string, ownedBy: string): InstalledPackage {
  return installed('pypi', { name, version }, ownedBy);
}

function source(...parts: readonly (readonly JsonRecord[] | ReadonlyMap<string, Priority>)[]): AdvisorySource {
  const feeds = parts.flatMap((part) => {
    if (!Array.isArray(part)) return [];
    const parsed = parseFeed(part);
    return parsed.what === 'advisories' ? [parsed.feed] : [];
  });
  const priorities = parts.find((part) => part instanceof Map);
  return sourceOfFeeds(feeds, priorities);
}
