// Snapshots that continue others, on a host of the mind: what has changed is stored, and nothing is put back over what it is not of.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { newBootId } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { snapshotFile } from './layout.ts';
import { failing } from './testing/fake-parts.ts';
import { BROKER_KEY, ask, needsRoot, start, stop } from './testing/scene.ts';
import { MOVED_ON, SnapshotScene, type Taken } from './testing/snapshot-scene.ts';

let scene: SnapshotScene;
beforeEach(async () => {
  if (!needsRoot) scene = await SnapshotScene.begin();
});
afterEach(async () => {
  if (!needsRoot) await scene.end();
});

describe.skipIf(needsRoot)('a snapshot that continues another (skipped: needs root)', () => {
  /** Pages that differ from each other, and from one moment to the next. */
  const memoryOf = (moment: string): Buffer =>
    Buffer.concat([Buffer.alloc(3 * 2 ** 20, 'of all moments, '), Buffer.alloc(4096, `of ${moment}, `)]);
  const sizeOf = ({ snapshot }: Taken): number =>
    readFileSync(snapshotFile(scene.host.layout, scene.id, snapshot)).length;

  /** Three, each of which continues the one before it; the disk and the memory change each time. */
  async function chain(): Promise<[Taken, Taken, Taken]> {
    scene.host.memory = memoryOf('one');
    const one = await scene.take();
    scene.host.memory = memoryOf('two');
    scene.host.writtenSince = [{ offset: 65_536, length: 65_536 }];
    scene.writeDisk('second', 65_536);
    const two = await scene.take(one.snapshot);
    scene.host.memory = memoryOf('three');
    scene.host.writtenSince = [{ offset: 131_072, length: 65_536 }];
    scene.writeDisk('third', 131_072);
    return [one, two, await scene.take(two.snapshot)];
  }

  test('stores what has changed, and is put back over what it continues', async () => {
    const [one, two, three] = await chain();
    expect([one.parent, two.parent, three.parent]).toEqual([undefined, one.snapshot, two.snapshot]);
    expect(sizeOf(one)).toBeGreaterThan(3 * 2 ** 20);
    for (const next of [two, three]) expect(sizeOf(next)).toBeLessThan(200_000);
    await scene.moveOn();
    scene.writeDisk('later.', 65_536);
    await scene.restore(three, [one, two]);
    expect(Buffer.compare(scene.host.memory.subarray(0, memoryOf('three').length), memoryOf('three'))).toBe(0);
    expect([scene.readDisk(), scene.readDisk(65_536, 6), scene.readDisk(131_072, 5)]).toEqual([
      'before the snapshot',
      'second',
      'third',
    ]);
  });

  test('is refused where what it continues is missing, altered or another, before anything is touched', async () => {
    const [one, two, three] = await chain();
    await scene.moveOn();
    scene.host.calls.length = 0;
    const wrong: Readonly<Record<string, [of: Taken, below: readonly Taken[]]>> = {
      'without the whole one': [three, [two]],
      'without the one before it': [three, [one]],
      'without any': [three, []],
      'in another order': [three, [two, one]],
      'below what it continues': [one, [one, two]],
      twice: [three, [one, two, two]],
      'over one with another root': [three, [{ ...one, root: two.root }, two]],
    };
    for (const [how, [of, below]] of Object.entries(wrong)) {
      await expect(scene.restore(of, below), how).rejects.toMatchObject({ code: 'proof-invalid' });
      expect(scene.state()).toEqual(MOVED_ON);
    }
    expect(scene.host.calls).toEqual([]);

    const path = snapshotFile(scene.host.layout, scene.id, one.snapshot);
    const whole = readFileSync(path);
    const altered = Buffer.from(whole);
    altered[2 ** 21] = (altered[2 ** 21] ?? 0) ^ 1;
    writeFileSync(path, altered);
    await expect(scene.restore(three, [one, two])).rejects.toMatchObject({ code: 'proof-invalid' });
    expect(scene.state()).toEqual(MOVED_ON);
    rmSync(path);
    const refused = scene.restore(three, [one, two]);
    await expect(refused).rejects.toMatchObject({ code: 'not-found', message: expect.stringContaining(one.snapshot) });
    expect(scene.state()).toEqual(MOVED_ON);
    writeFileSync(path, whole);
    await scene.restore(three, [one, two]);
  });

  test('has a key that opens it below another, and is no restore of it', async () => {
    const one = await scene.take();
    await scene.moveOn();
    const key = await scene.keyFor(one.snapshot, 'base');
    const { snapshot, root } = one;
    const order = { machine: scene.id, boot: newBootId(), brokerKey: BROKER_KEY, snapshot, root, key, ancestors: [] };
    await expect(ask<'restore-machine'>(scene.warden, { op: 'restore-machine', ...order })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(scene.state()).toEqual(MOVED_ON);
  });

  test('continues the newest of this boot, or is a whole one; one that failed between them is no hindrance', async () => {
    const one = await scene.take();
    scene.host.before = failing('vmm.save', new Error('no answer'));
    await expect(scene.take(one.snapshot)).rejects.toThrow('no answer');
    scene.host.before = () => undefined;
    const two = await scene.take(one.snapshot);
    expect(two.parent).toBe(one.snapshot);
    const check = { op: 'check-snapshot', machine: scene.id, snapshot: two.snapshot, root: two.root } as const;
    expect(await ask<'check-snapshot'>(scene.warden, { ...check, parent: one.root })).toMatchObject({ whole: true });
    for (const parent of [{}, { parent: two.root }]) {
      const report = await ask<'check-snapshot'>(scene.warden, { ...check, ...parent });
      expect(report).toMatchObject({ whole: false, reason: expect.stringContaining('continues') });
    }
    expect((await scene.take(one.snapshot)).parent).toBeUndefined();
    const three = await scene.take();
    await ask<'remove-snapshot'>(scene.warden, { op: 'remove-snapshot', machine: scene.id, snapshot: three.snapshot });
    const four = await scene.take(three.snapshot);
    expect(four.parent).toBeUndefined();
    await scene.warden.close();
    expect(scene.host.calls.filter((call) => call === 'memory.ended')).toHaveLength(5);
    scene.warden = await scene.openWarden();
    const five = await scene.take(four.snapshot);
    expect(five.parent).toBeUndefined();
    await stop(scene.warden, scene.id);
    scene.boot = newBootId();
    await start(scene.warden, scene.id, scene.boot);
    expect((await scene.take(five.snapshot)).parent).toBeUndefined();
  });
});
