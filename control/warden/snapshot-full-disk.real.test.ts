// A file system that fills up while a snapshot is taken, or comes: a real one, of which the rest of the host is of the mind.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { needsRoot } from './testing/scene.ts';
import { SnapshotScene } from './testing/snapshot-scene.ts';

const [MOUNT, UMOUNT] = ['/usr/bin/mount', '/usr/bin/umount'] as const;

let scene: SnapshotScene;
beforeEach(async () => {
  if (!needsRoot) scene = await SnapshotScene.begin();
});
afterEach(async () => {
  if (!needsRoot) await scene.end();
});

describe.skipIf(needsRoot)('a disk that is full (skipped: needs root)', () => {
  test.each([
    ['while the disk is copied', 512],
    ['while it is sealed', 1100],
  ])('%s leaves no snapshot, and the guest goes on', async (_, kib) => {
    const { snapshots } = scene.machine;
    mkdirSync(snapshots, { recursive: true });
    execFileSync(MOUNT, ['-t', 'tmpfs', '-o', `size=${String(kib)}k`, 'ringwall-test', snapshots]);
    try {
      await expect(scene.take()).rejects.toMatchObject({ code: 'host-full' });
      expect(readdirSync(snapshots)).toEqual([]);
      expect(scene.host.calls).toContain('vmm.copied');
      expect(scene.host.vmmState).toBe('running');
      execFileSync(MOUNT, ['-o', 'remount,size=8m', snapshots]);
      await scene.take();
      expect(readdirSync(snapshots)).toHaveLength(1);
    } finally {
      execFileSync(UMOUNT, [snapshots]);
    }
  });
});
