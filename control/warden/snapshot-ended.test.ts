// A boot that ends while its machine is saved: there is no snapshot or a whole one, and nothing is kept of it for a next one.
import { readdirSync, rmSync } from 'node:fs';
import { newSnapshotId, RingwallError, type ErrorCode } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CALL, needsRoot, stop } from './testing/scene.ts';
import { SnapshotScene } from './testing/snapshot-scene.ts';

let scene: SnapshotScene;
beforeEach(async () => {
  if (!needsRoot) scene = await SnapshotScene.begin();
});
afterEach(async () => {
  if (!needsRoot) await scene.end();
});

describe.skipIf(needsRoot)('a boot that ends while its machine is saved (skipped: needs root)', () => {
  test.each<[string, ErrorCode, RegExp]>([
    ['is told where QEMU has ended', 'vmm-failed', /QEMU ended while the machine stood still/],
    ['is told where QEMU has ended and nobody heard it', 'timeout', /QEMU ended while the machine stood still/],
    ['is not taken for the reason where another is known', 'host-full', /no answer/],
  ])('%s', async (_, code, message) => {
    scene.host.before = (effect) => {
      if (effect !== 'vmm.save') return;
      for (const pid of scene.host.processes.keys()) scene.host.kill(pid);
      throw new RingwallError(code, 'no answer');
    };
    await expect(scene.take()).rejects.toMatchObject({ message: expect.stringMatching(message) });
    expect(readdirSync(scene.machine.snapshots)).toEqual([]);
  });

  test.each([
    ['before it stands still', 'vmm.copy'],
    ['once it goes on', 'vmm.copied'],
  ])('is no end of it: what nobody wants any more is given up %s, and the guest goes on', async (_, when) => {
    const asked = new AbortController();
    const snapshot = newSnapshotId();
    const key = await scene.keyFor(snapshot, 'take');
    scene.host.before = (effect) => {
      if (effect === when) asked.abort();
    };
    const { id: machine, boot } = scene;
    const order = { op: 'take-snapshot', machine, boot, snapshot, sequence: 1, key } as const;
    await expect(scene.warden.handle(order, { ...CALL, signal: asked.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(readdirSync(scene.machine.snapshots)).toEqual([]);
    expect(scene.host.calls.includes('vmm.save')).toBe(when === 'vmm.copied');
    expect(scene.host.vmmState).toBe('running');
    scene.host.before = () => undefined;
    await scene.take();
  });

  test('once it is sealed is no hindrance: the snapshot is whole, and is continued by none of a later boot', async () => {
    // Before what was copied is sealed its record is gone, as at the end of a stop.
    scene.host.before = (effect) => {
      if (effect === 'vmm.copied') rmSync(scene.machine.boot);
    };
    const one = await scene.take();
    expect(readdirSync(scene.machine.snapshots)).toHaveLength(1);
    expect(scene.host.calls).toContain('memory.ended');
    expect(scene.host.calls).not.toContain('memory.digest');
    await stop(scene.warden, scene.id);
    await scene.restore(one);
  });
});
