import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readKnownBrokers, rememberBroker } from './known-brokers.ts';
import { pathsOf } from './services/paths.ts';

const NOW = new Date('2026-11-21T12:00:00Z');
const [KEY, OTHER] = ['ab'.repeat(64), 'cd'.repeat(64)];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rw-brokers-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const paths = (): ReturnType<typeof pathsOf> => pathsOf({ RINGWALL_STATE: join(directory, 'state') });
const environment = (): Record<string, string> => ({ XDG_CONFIG_HOME: join(directory, 'home') });
const keys = (): string[] => readKnownBrokers(paths(), environment()).map(({ key }) => key);

describe('known brokers', () => {
  it('are remembered once each, and read by every user of the host', () => {
    for (const key of [KEY, OTHER, KEY]) rememberBroker(key, paths(), environment(), NOW);
    expect(keys()).toEqual([KEY, OTHER]);
    const [{ file } = { file: '' }] = readKnownBrokers(paths(), environment());
    expect(readFileSync(file, 'utf8')).toBe(`${KEY} 2026-11-21T12:00:00.000Z\n${OTHER} 2026-11-21T12:00:00.000Z\n`);
  });

  it('are keys, and nothing else that stands in the file', () => {
    for (const key of ['', 'x', `${KEY}00`, `${KEY}\n${OTHER}`]) rememberBroker(key, paths(), environment(), NOW);
    expect(keys()).toEqual([]);
    rememberBroker(KEY, paths(), environment(), NOW);
    const [{ file } = { file: '' }] = readKnownBrokers(paths(), environment());
    appendFileSync(file, `# a remark\n\n${KEY.toUpperCase()} x\n${OTHER}`);
    expect(keys()).toEqual([KEY, OTHER]);
  });

  it('are none where there is no file, and a place that cannot be written is no failure', () => {
    expect(keys()).toEqual([]);
    for (const place of ['/proc/ringwall', '/dev/null/ringwall']) {
      const nowhere = pathsOf({ RINGWALL_STATE: place });
      expect(() => rememberBroker(KEY, nowhere, { XDG_CONFIG_HOME: place }, NOW)).not.toThrow();
    }
  });
});
