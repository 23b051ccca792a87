import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ParseError } from '@ringwall/bytes';
import { describe, expect, it } from 'vitest';
import { makeNdb } from '../../../testing/make-ndb.ts';
import { makeEntry, ROOMY } from '../../../testing/make-image.ts';
import { readBerkeleyBlobs } from './berkeley.ts';
import { parseRpmHeader } from './header.ts';
import { parseRpmDatabase, rpmInspector } from './rpm.ts';
import { readSqliteTable } from './sqlite.ts';

const FIXTURES = join(import.meta.dirname, '../../../fixtures/packages');
const [sqlite, berkeley] = [fixture('rpmdb.sqlite.gz'), fixture('Packages.gz')];
const blobs = [...readBerkeleyBlobs(berkeley)];
const ndb = makeNdb(blobs);

const DATABASES: readonly (readonly [path: string, bytes: Uint8Array])[] = [
  ['var/lib/rpm/rpmdb.sqlite', sqlite],
  ['var/lib/rpm/Packages', berkeley],
  ['usr/lib/sysimage/rpm/Packages.db', ndb],
];

describe.each(DATABASES)('%s', (path, bytes) => {
  it('gives both packages with epoch, source, licence, module and files of languages', () => {
    const facts = parseRpmDatabase(path, bytes);
    expect(facts.map((fact) => (fact.kind === 'package' ? fact.name : fact.why)).toSorted()).toEqual([
      'demo-lib',
      'demo-tools',
    ]);
    expect(facts.find((fact) => fact.kind === 'package' && fact.name === 'demo-lib')).toEqual({
      kind: 'package',
      type: 'rpm',
      name: 'demo-lib',
      version: '2:1.2.3-4.el9',
      architecture: 'noarch',
      source: 'demo-lib',
      sourceVersion: '1.2.3-4.el9',
      licence: 'LGPL-2.1-or-later',
      module: 'x:1',
      owns: ['usr/lib/python3.9/site-packages/demo-1.2.3.dist-info/METADATA'],
    });
  });

  it('says where it breaks off, whatever is cut', () => {
    for (let length = 0; length < bytes.length; length += 997) {
      const facts = parseRpmDatabase(path, bytes.subarray(0, length));
      // What is past the last header may be gone unnoticed: free space of SQLite and of ndb.
      const packages = facts.filter(({ kind }) => kind === 'package').length;
      expect(packages === 2 || facts.some(({ kind }) => kind === 'unread')).toBe(true);
    }
  });
});

describe('rpmInspector', () => {
  it('says that a log of SQLite which was not written back holds what is not known', () => {
    const entry = makeEntry('var/lib/rpm/rpmdb.sqlite-wal', { bytes: 4096 });
    expect(rpmInspector.wants(entry)).toBe(0);
    expect(rpmInspector.inspect(entry, new Uint8Array(), ROOMY)).toMatchObject([{ kind: 'unread' }]);
    expect(rpmInspector.wants(makeEntry('var/lib/rpm/rpmdb.sqlite-wal'))).toBeUndefined();
  });

  it('says that a database which is larger than what is read was not read', () => {
    const entry = makeEntry('var/lib/rpm/rpmdb.sqlite', { bytes: sqlite.length + 1 });
    expect(rpmInspector.inspect(entry, sqlite, ROOMY)).toMatchObject([{ kind: 'unread' }]);
  });
});

describe('readSqliteTable()', () => {
  it('walks in no circles: a page is visited once', () => {
    const circular = sqlite.slice();
    // The root of the schema becomes an interior page whose rightmost child is itself.
    circular.set([5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 100);
    expect(() => [...readSqliteTable(circular, 'Packages')]).toThrow(/used twice/);
  });

  it('does not take a database without the table for an empty one', () => {
    expect(() => [...readSqliteTable(sqlite, 'Other')]).toThrow('schema has no table Other');
  });
});

describe('parseRpmHeader()', () => {
  it('refuses every cut', () => {
    const [blob = new Uint8Array()] = blobs;
    for (let length = 0; length < blob.length; length += 13) {
      expect(() => parseRpmHeader(blob.subarray(0, length))).toThrow(ParseError);
    }
  });

  it('refuses counts beyond its limits before it reserves anything', () => {
    expect(() => parseRpmHeader(new Uint8Array([255, 255, 255, 255, 0, 0, 0, 0]))).toThrow(/at most 65535/);
  });
});

function fixture(name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(join(FIXTURES, name))));
}
