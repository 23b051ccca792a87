import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LEASE_RANGE, UidLeases } from './leases.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ringwall-leases-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

const GONE = { pid: 4_194_305, startTime: 1 };

describe('UidLeases', () => {
  test('gives each lease a uid of the range, never one twice, also between two instances', () => {
    const [a, b] = [new UidLeases(dir), new UidLeases(dir)];
    const uids = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? a : b).acquire({ purpose: `test ${i}` }).uid);
    expect(new Set(uids).size).toBe(20);
    expect(uids.every((uid) => uid >= LEASE_RANGE.first && uid <= LEASE_RANGE.last)).toBe(true);
    expect(a.list()).toHaveLength(20);
  });

  test('does not give a uid again that was just returned', () => {
    const leases = new UidLeases(dir);
    const { uid } = leases.acquire({ purpose: 'first' });
    leases.release(uid);
    expect(leases.list()).toEqual([]);
    expect(leases.acquire({ purpose: 'second' }).uid).not.toBe(uid);
  });

  test('keeps what must be undone, and forgets it on release', () => {
    const leases = new UidLeases(dir);
    const lease = leases.acquire({ purpose: 'mch_x vmm', cgroup: 'mch_x-vmm', runDir: '/run/x' });
    leases.update({ ...lease, process: GONE });
    expect(new UidLeases(dir).list()).toEqual([{ ...lease, process: GONE }]);
    leases.release(lease.uid);
    leases.release(lease.uid);
    expect(readdirSync(dir)).toEqual(['lock.db']);
  });

  test('a lease is stale once its process is gone, or its holder before there was one', () => {
    const leases = new UidLeases(dir);
    const ours = leases.acquire({ purpose: 'ours' });
    const ended = leases.acquire({ purpose: 'ended' });
    const orphan = leases.acquire({ purpose: 'orphan' });
    leases.update({ ...ended, process: GONE });
    leases.update({ ...orphan, holder: GONE });
    expect(
      leases
        .stale()
        .map(({ purpose }) => purpose)
        .toSorted(),
    ).toEqual(['ended', 'orphan']);
    expect(leases.list().map(({ uid }) => uid)).toContain(ours.uid);
  });

  test.each(['', '{', 'null', '[]', '{"uid":"2000000001"}', '{"uid":7,"purpose":"x","holder":{"pid":1}}'])(
    'takes no notice of a file that says %j',
    (text) => {
      const leases = new UidLeases(dir);
      writeFileSync(join(dir, '2000000001'), text);
      writeFileSync(join(dir, 'notes'), text);
      expect(leases.list()).toEqual([]);
    },
  );

  test('shows its files to root alone', () => {
    const { uid } = new UidLeases(dir).acquire({ purpose: 'x' });
    expect(JSON.parse(readFileSync(join(dir, String(uid)), 'utf8'))).toMatchObject({ uid, purpose: 'x' });
  });
});
