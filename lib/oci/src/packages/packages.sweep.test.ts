// Package databases with bytes changed: only packages and the word that something could not be read come out, in bounded time.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { makeNdb } from '../../testing/make-ndb.ts';
import { readBerkeleyBlobs } from './rpm/berkeley.ts';
import { parseRpmDatabase } from './rpm/rpm.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/packages');
const fixture = (name: string): Uint8Array => new Uint8Array(gunzipSync(readFileSync(join(FIXTURES, name))));
const berkeley = fixture('Packages.gz');

const DATABASES: readonly (readonly [path: string, bytes: Uint8Array, headBytes: number])[] = [
  ['var/lib/rpm/rpmdb.sqlite', fixture('rpmdb.sqlite.gz'), 4096],
  ['var/lib/rpm/Packages', berkeley, 16_384],
  ['var/lib/rpm/Packages.db', makeNdb([...readBerkeleyBlobs(berkeley)]), 6000],
];

/** Headers whole; of the rest enough to meet every kind of field. */
const DENSE_BYTES = 128;
const STEP_BYTES = 23;

describe.each(DATABASES)('%s', (path, bytes, headBytes) => {
  it('ends well whatever byte is changed', () => {
    const changed = bytes.slice();
    for (let at = 0; at < headBytes; at += at < DENSE_BYTES ? 1 : STEP_BYTES) {
      const before = changed[at] ?? 0;
      for (const value of [0, 1, 0xff]) {
        changed[at] = value;
        for (const { kind } of parseRpmDatabase(path, changed)) expect(['package', 'unread']).toContain(kind);
      }
      changed[at] = before;
    }
  });
});
