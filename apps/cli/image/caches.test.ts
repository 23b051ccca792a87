import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EMPTY_CONFIG } from '@ringwall/oci';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pathsOf } from '../services/paths.ts';
import { openVerdicts, type Grounds, type Keeping } from './caches.ts';

const IMAGE = { config: EMPTY_CONFIG, layers: [{ digest: 'sha256:a', diffId: 'sha256:b', createdBy: '' }] };
const GROUNDS: Grounds = { scanner: 'scanners/1/none/none', vex: new Uint8Array(), imageDigest: 'sha256:c' };

describe('openVerdicts()', () => {
  let dir: string;
  let keeping: Keeping;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ringwall-verdicts-'));
    build('0123456789abcdef');
    writeFileSync(join(dir, 'advisories.db'), 'as of today');
    const environment = { RINGWALL_STATE: dir, XDG_CACHE_HOME: dir };
    keeping = {
      flags: new Set(),
      values: new Map(),
      environment,
      installation: { kind: 'bundles', directory: dir, entry: join(dir, 'ringwall.mjs') },
      paths: pathsOf(environment),
    };
    openVerdicts(keeping, GROUNDS)?.put(IMAGE, []);
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const build = (id: string): void => writeFileSync(join(dir, 'build.json'), JSON.stringify({ version: '1', id }));
  const isKnown = (change: Partial<Grounds> = {}, other: Partial<Keeping> = {}): boolean =>
    openVerdicts({ ...keeping, ...other }, { ...GROUNDS, ...change })?.get(IMAGE) !== undefined;

  test('knows an image that was judged on the same grounds', () => {
    expect(isKnown()).toBe(true);
    // Without a document, nothing is said of one image alone.
    expect(isKnown({ imageDigest: 'sha256:d' })).toBe(true);
  });

  test('knows it no more by other rules, other scanners, another word of what does not matter', () => {
    expect(isKnown({ scanner: 'scanners/1/yara/none' })).toBe(false);
    expect(isKnown({ vex: Uint8Array.of(1) })).toBe(false);
    build('0123456789abcdee');
    expect(isKnown()).toBe(false);
  });

  test('knows it no more where the advisories were written to, even in the same second and as long', () => {
    const file = join(dir, 'advisories.db');
    const at = new Date(2026, 1, 1);
    writeFileSync(file, 'as of yours');
    utimesSync(file, at, at);
    expect(isKnown()).toBe(false);
    openVerdicts(keeping, GROUNDS)?.put(IMAGE, []);
    expect(isKnown()).toBe(true);
    writeFileSync(file, 'as of hours');
    utimesSync(file, at, at);
    expect(isKnown()).toBe(false);
  });

  test('knows it no more where the advisories are another file, or none', () => {
    writeFileSync(join(dir, 'other.db'), 'as of today');
    expect(isKnown({}, { values: new Map([['advisories', join(dir, 'other.db')]]) })).toBe(false);
    renameSync(join(dir, 'advisories.db'), join(dir, 'gone.db'));
    expect(isKnown()).toBe(false);
  });

  test('keeps nothing where nothing shall be kept, nor by sources that may change', () => {
    expect(openVerdicts({ ...keeping, flags: new Set(['no-cache']) }, GROUNDS)).toBeUndefined();
    build('source');
    expect(openVerdicts(keeping, GROUNDS)).toBeUndefined();
  });
});
