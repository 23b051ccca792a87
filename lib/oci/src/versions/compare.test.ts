import { assert, constantFrom, property, string, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OciError } from '../oci-error.ts';
import {
  compareVersions,
  isAffected,
  MAX_VERSION_CHARACTERS,
  schemeOfEcosystem,
  type VersionScheme,
} from './compare.ts';

const SCHEMES: readonly VersionScheme[] = [
  'apk',
  'composer',
  'dpkg',
  'maven',
  'nuget',
  'pep440',
  'rpm',
  'rubygems',
  'semver',
];

/** Versions as each ecosystem writes them; beyond its grammar apk, Composer and Maven contradict themselves. */
const HONEST: Readonly<Record<VersionScheme, readonly string[]>> = {
  apk: ['0', '1', '02', '10', '.1', '.02', 'b', '_rc', '_p1', '_alpha2', '-r3'],
  composer: ['0', '1', '.2', '.10', '-dev', 'a1', 'beta2', 'RC1', 'pl1'],
  dpkg: ['0', '1', ':', '.', '-', '~', '+', 'a', 'Z', 'deb12u1'],
  maven: ['1', '2', '.3', '.0', '-alpha-1', '-rc-2', '-SNAPSHOT', '-sp-1', '-foo'],
  nuget: ['0', '1', '.2', '.10', '-a', '-B.1', '+x'],
  pep440: ['0', '1', '!', '.2', 'a1', 'rc2', '.post3', '.dev4', '+local.1', '-1', 'x'],
  rpm: ['0', '1', ':', '.', '-', '~', '^', 'a', 'el9', 'Z'],
  rubygems: ['0', '1', '.2', '.a', 'b3', '-', '.rc.1'],
  semver: ['0', '1', '.2', '.10', '-a', '-1', '.b', '+x', 'v'],
};

const apkVersion = /^\d+(?:\.\d+)*[a-z]?(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*(?:-r\d*)?$/;
const composerVersion = /^\d+(?:\.\d+)*(?:-?(?:dev|a|beta|RC|pl)\d*)?$/;
const mavenVersion = /^\d+(?:\.\d+)*(?:-(?:alpha|rc|sp)-\d+|-SNAPSHOT|-foo)?$/;
const isHonest: Readonly<Partial<Record<VersionScheme, RegExp>>> = {
  apk: apkVersion,
  composer: composerVersion,
  maven: mavenVersion,
};

describe('compareVersions()', () => {
  it.each(SCHEMES)('%s: one order both ways, whatever the text', (scheme) => {
    const text = string({ unit: constantFrom(...Array.from('019.-_~^+:!aZrv#é \n'), 'rc', '_p', '-r'), maxLength: 10 });
    assert(
      property(text, text, (one, other) => {
        const order = compareVersions(scheme, one, other);
        return compareVersions(scheme, one, one) === 0 && compareVersions(scheme, other, one) === 0 - order;
      }),
      { numRuns: 500 },
    );
  });

  it.each(SCHEMES)('%s: no circles among three versions', (scheme) => {
    const honest = isHonest[scheme];
    const version = string({ unit: constantFrom(...HONEST[scheme]), minLength: 1, maxLength: 5 }).filter(
      (text) => honest === undefined || honest.test(text),
    );
    assert(
      property(tuple(version, version, version), (versions) => {
        const [first, second, third] = versions.toSorted((one, other) => compareVersions(scheme, one, other));
        return (
          compareVersions(scheme, first ?? '', second ?? '') <= 0 &&
          compareVersions(scheme, second ?? '', third ?? '') <= 0 &&
          compareVersions(scheme, first ?? '', third ?? '') <= 0
        );
      }),
      { numRuns: 1000 },
    );
  });

  it.each<[VersionScheme, string, '<' | '=' | '>', string]>([
    // Where the tables say nothing.
    ['dpkg', '1.0~rc1', '<', '1.0'],
    ['dpkg', '1.0+b1', '>', '1.0'],
    ['dpkg', '1:1', '>', '2'],
    ['dpkg', '1.2-1', '<', '1.2-1+deb12u1'],
    ['dpkg', '1.0-1-2', '>', '1.0-1'],
    ['apk', '1', '<', '1.0'],
    ['apk', '1.2.3-r10', '>', '1.2.3-r9'],
    ['apk', '1.2~abc-r1', '=', '1.2-r1'],
    ['rpm', '1.0-1.fc39', '<', '1.0-2.fc39'],
    ['semver', 'v0.0.0-20210101000000-abcdef', '<', 'v0.0.0-20220101000000-abcdef'],
    ['semver', 'v1.0.0+incompatible', '=', 'v1.0.0'],
    ['semver', '1.2', '=', '1.2.0'],
    ['pep440', '1.0.post1.dev1', '<', '1.0.post1'],
    ['pep440', '1.0.dev1', '<', '1.0a1.dev1'],
    ['pep440', '1.0-1', '=', '1.0.post1'],
    ['pep440', 'V1.0-RC_1', '=', '1.0rc1'],
    ['rubygems', '1.0.0', '=', '1'],
    ['maven', '1.0-jre', '>', '1.0'],
    ['nuget', '1.0.0.0', '=', '1'],
    ['composer', 'dev-main', '<', '0.0.1'],
  ])('%s: %s %s %s', (scheme, one, sign, other) => {
    expect(compareVersions(scheme, one, other)).toBe(['<', '=', '>'].indexOf(sign) - 1);
  });

  it.each(SCHEMES)('%s: takes the longest of texts that were made to be slow, and refuses longer ones', (scheme) => {
    for (const unit of ['1', '.', '-', '~', 'a', '1.', '-1', 'a1', '_p', '1!', '+a', '_alpha']) {
      const long = unit.repeat(MAX_VERSION_CHARACTERS).slice(0, MAX_VERSION_CHARACTERS);
      expect(compareVersions(scheme, long, `${long.slice(1)}!`)).toBeTypeOf('number');
    }
    expect(() => compareVersions(scheme, '1'.repeat(MAX_VERSION_CHARACTERS + 1), '1')).toThrow(OciError);
  });
});

describe('schemeOfEcosystem()', () => {
  it.each([
    ['Debian:12', 'dpkg'],
    ['Alpine:v3.22', 'apk'],
    ['Go', 'semver'],
    ['constructor', undefined],
    ['GHC', undefined],
  ])('%s: %s', (ecosystem, scheme) => {
    expect(schemeOfEcosystem(ecosystem)).toBe(scheme);
  });
});

describe('isAffected()', () => {
  const twice = [{ introduced: '0' }, { fixed: '1.4' }, { introduced: '2.0' }, { fixed: '2.2' }];
  it.each([
    ['0.0~alpha', true],
    ['1.3.9', true],
    ['1.4', false],
    ['1.9', false],
    ['2.0', true],
    ['2.1', true],
    ['2.2', false],
  ])('%s between two introductions and two fixes: %s', (version, affected) => {
    expect(isAffected('dpkg', version, twice)).toBe(affected);
    expect(isAffected('dpkg', version, twice.toReversed())).toBe(affected);
  });

  it('the last affected version is affected, the next is not', () => {
    const events = [{ introduced: '1.0' }, { last_affected: '1.5' }];
    expect(isAffected('semver', '1.5.0', events)).toBe(true);
    expect(isAffected('semver', '1.5.1', events)).toBe(false);
  });

  it('what is introduced anew where it was fixed is in', () => {
    expect(isAffected('semver', '2.0.0', [{ introduced: '2.0.0' }, { introduced: '0' }, { fixed: '2.0.0' }])).toBe(
      true,
    );
  });

  it('nothing introduced is nothing affected', () => {
    expect(isAffected('semver', '1.0.0', [])).toBe(false);
    expect(isAffected('semver', '1.0.0', [{ fixed: '2.0.0' }])).toBe(false);
  });
});
