// Every line of the version tables: `A < B`, `A = B`, `A > B`, held both ways.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compareVersions, type VersionScheme } from './compare.ts';

const TABLES = join(import.meta.dirname, '../../../../../shared/vectors/versions/osv-scalibr');
const FILES: readonly (readonly [file: string, scheme: VersionScheme, lines: number])[] = [
  ['alpine', 'apk', 700],
  ['debian', 'dpkg', 29],
  ['maven', 'maven', 90],
  ['nuget', 'nuget', 30],
  ['packagist', 'composer', 90],
  ['pypi', 'pep440', 36],
  ['redhat', 'rpm', 150],
  ['rubygems', 'rubygems', 20],
  ['semver', 'semver', 80],
];

describe.skipIf(!existsSync(TABLES))('the version tables (skipped: needs the vectors)', () => {
  it.each(FILES)('%s: every line holds', (file, scheme, atLeast) => {
    const lines = readFileSync(join(TABLES, `${file}-versions.txt`), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('# ') && !line.startsWith('//'));
    const broken = lines.filter((line) => {
      const [one = '', sign = '', other = ''] = line.split(' ');
      const expected = ['<', '=', '>'].indexOf(sign) - 1;
      return compareVersions(scheme, one, other) !== expected || compareVersions(scheme, other, one) !== 0 - expected;
    });
    expect(broken).toEqual([]);
    expect(lines.length).toBeGreaterThan(atLeast);
  });
});
