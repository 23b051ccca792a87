// Snapshots of machines with imported disks, on a host of the mind: all disks are of one moment, and are put back together or not at all.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { newBootId, newDiskId, newMachineId, type DiskId } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LUKS_HEADER_BYTES } from '@ringwall/host/disk';
import { writeDiskSpec } from './disk-records.ts';
import { diskLayout, snapshotFile, type DiskLayout, type Layout } from './layout.ts';
import { failing } from './testing/fake-parts.ts';
import { holdTemplate } from './testing/live-clones.ts';
import { BROKER_KEY, ask, buildHello, create, needsRoot, remove, SPEC } from './testing/scene.ts';
import { diskKeysFor, MOVED_ON, SnapshotScene } from './testing/snapshot-scene.ts';

const MIB = 2 ** 20;
/** As LUKS files are: no whole number of chunks. */
const SIZES = [3 * MIB + 4096, 2 * MIB + 512] as const;
const PIECE = 65_536;

let scene: SnapshotScene;
let files: readonly DiskLayout[];
beforeEach(async () => {
  if (needsRoot) return;
  scene = await SnapshotScene.begin(async ({ host }, warden) => {
    const [id, boot] = [newMachineId(), newBootId()];
    const disks = await Promise.all(SIZES.map((bytes) => importedDisk(host.layout, bytes)));
    await buildHello(warden);
    await create(warden, id, { ...SPEC, disks });
    const diskKeys = await diskKeysFor(warden, { id, boot, disks });
    await ask<'start-machine'>(warden, { op: 'start-machine', machine: id, boot, brokerKey: BROKER_KEY, diskKeys });
    return { id, boot, disks };
  });
  files = scene.disks.map((disk) => diskLayout(scene.host.layout, disk));
});
afterEach(async () => {
  if (!needsRoot) await scene.end();
});

async function importedDisk(layout: Layout, bytes: number): Promise<DiskId> {
  const disk = diskLayout(layout, newDiskId());
  for (const folder of [disk.record, disk.data]) mkdirSync(folder, { recursive: true });
  writeFileSync(disk.file, Buffer.alloc(bytes, 'as it was imported, '));
  await writeSpec(disk, bytes);
  return disk.id;
}

const writeSpec = (disk: DiskLayout, fileBytes: number): Promise<void> =>
  writeDiskSpec(disk, {
    ...{ version: 1, disk: disk.id, chunkBytes: 4 * MIB, digest: 'aa'.repeat(32) },
    sizeBytes: fileBytes - LUKS_HEADER_BYTES,
  });

const fill = (text: string): void => {
  for (const [index, { file }] of files.entries()) writeFileSync(file, Buffer.alloc(SIZES[index] ?? 0, text));
};
const words = (at = 0): string[] => files.map(({ file }) => readFileSync(file).toString('latin1', at, at + 8));
const moveOn = async (): Promise<void> => {
  await scene.moveOn();
  fill('later...');
};
/** All of it is as `moveOn` has left it, and nothing else lies there. */
const expectMovedOn = (how: string): void => {
  expect(scene.state(), how).toEqual(MOVED_ON);
  expect(words(), how).toEqual(['later...', 'later...']);
  expect(
    files.flatMap(({ data }) => readdirSync(data)),
    how,
  ).toEqual(['disk.luks', 'disk.luks']);
};
const [first, second] = [(): DiskLayout => diskAt(0), (): DiskLayout => diskAt(1)];
function diskAt(index: number): DiskLayout {
  const disk = files[index];
  if (disk === undefined) throw new Error(`no disk ${index}`);
  return disk;
}

describe.skipIf(needsRoot)('a snapshot of a machine with imported disks (skipped: needs root)', () => {
  test('holds all of them of one moment, also what was written while it stood still, and what has changed since', async () => {
    fill('moment 1');
    scene.host.whileStopped = (path) => {
      if (path !== second().file) return [];
      const contents = readFileSync(path);
      contents.write('the stop', MIB);
      writeFileSync(path, contents);
      return [{ offset: MIB, length: 512 }];
    };
    const one = await scene.take();
    scene.host.whileStopped = () => [];
    const contents = readFileSync(first().file);
    contents.write('moment 2', 2 * MIB);
    writeFileSync(first().file, contents);
    scene.host.importedSince.set(first().id, [{ offset: 2 * MIB, length: PIECE }]);
    const two = await scene.take(one.snapshot);
    expect([one.parent, two.parent]).toEqual([undefined, one.snapshot]);
    const [whole, next] = [one, two].map(({ snapshot }) =>
      readFileSync(snapshotFile(scene.host.layout, scene.id, snapshot)),
    );
    expect(whole?.length).toBeGreaterThan(SIZES[0] + SIZES[1]);
    expect(next?.length).toBeLessThan(4 * PIECE);
    expect(whole?.includes('moment')).toBe(false);
    expect(readdirSync(scene.machine.snapshots)).toHaveLength(2);

    await moveOn();
    await scene.restore(two, [one]);
    expect([words(), words(MIB), words(2 * MIB)]).toEqual([
      ['moment 1', 'moment 1'],
      ['moment 1', 'the stop'],
      ['moment 2', 'moment 1'],
    ]);
    expect(scene.readDisk()).toBe('before the snapshot');
    expect(files.map(({ file }) => readFileSync(file).length)).toEqual(SIZES);
    expect(files.flatMap(({ data }) => readdirSync(data))).toEqual(['disk.luks', 'disk.luks']);
  });

  test('that runs is what the machine was put back to, also where nobody has lived to say so', async () => {
    fill('moment 1');
    const taken = await scene.take();
    await moveOn();
    await scene.restore(taken);
    writeFileSync(`${scene.machine.record}/restoring`, '');
    writeFileSync(first().before, 'later...');
    await scene.openWarden();
    expect(words()).toEqual(['moment 1', 'moment 1']);
    expect(files.flatMap(({ data }) => readdirSync(data))).toEqual(['disk.luks', 'disk.luks']);
    // What lay aside by accident is nothing that a later restore would fall back to, however early that ends.
    await moveOn();
    writeFileSync(first().before, 'long ago');
    renameSync(scene.machine.tpmState, `${scene.machine.record}/elsewhere`);
    await expect(scene.restore(taken)).rejects.toThrow('ENOENT');
    renameSync(`${scene.machine.record}/elsewhere`, scene.machine.tpmState);
    expectMovedOn('with something aside');
  });

  test('that does not load, or is altered in a disk, leaves all of them as they were', async () => {
    const taken = await scene.take();
    await moveOn();
    for (const effect of ['tpm.start', 'vmm.start']) {
      scene.host.before = failing(effect, new Error('QEMU died'));
      await expect(scene.restore(taken)).rejects.toThrow('QEMU died');
      expectMovedOn(effect);
    }
    scene.host.before = () => undefined;
    const path = snapshotFile(scene.host.layout, scene.id, taken.snapshot);
    const altered = readFileSync(path);
    // Behind the imported disks lie some hundred bytes of devices, and the end.
    altered.writeUInt8(altered.readUInt8(altered.length - 2000) ^ 1, altered.length - 2000);
    writeFileSync(path, altered);
    await expect(scene.restore(taken)).rejects.toMatchObject({ code: 'proof-invalid' });
    expectMovedOn('altered');
    expect(scene.runs()).toEqual([]);
  });

  test('that is put back is all there or not at all, wherever a crash comes', async () => {
    await moveOn();
    const { record, before, disk, tpmState } = scene.machine;
    const mark = `${record}/restoring`;
    const put = (path: string): void => writeFileSync(path, 'half of what was saved');
    const steps: readonly (() => void)[] = [
      () => writeFileSync(mark, ''),
      () => mkdirSync(before),
      () => renameSync(disk, `${before}/disk.img`),
      () => renameSync(tpmState, `${before}/tpm`),
      () => renameSync(first().file, first().before),
      () => renameSync(second().file, second().before),
      () => put(disk),
      () => put(first().file),
      () => put(second().file),
      () => mkdirSync(tpmState),
    ];
    for (let done = 0; done <= steps.length; done += 1) {
      for (const step of steps.slice(0, done)) step();
      await scene.openWarden();
      expectMovedOn(`after ${done} steps`);
      expect(existsSync(before)).toBe(false);
    }
    // It was left behind: what was put back counts, whatever still lies aside.
    for (const step of steps) step();
    rmSync(mark);
    await scene.openWarden();
    expect([disk, first().file, second().file].map((path) => readFileSync(path, 'utf8'))).toEqual(
      Array.from({ length: 3 }, () => 'half of what was saved'),
    );
    expect([first(), second()].map((each) => existsSync(each.before))).toEqual([false, false]);
  });

  test('that a removal finds half put back gives its disks back first: they stay', async () => {
    await moveOn();
    writeFileSync(`${scene.machine.record}/restoring`, '');
    renameSync(first().file, first().before);
    writeFileSync(first().file, 'half of what was saved');
    await remove(scene.warden, scene.id);
    expect(words()).toEqual(['later...', 'later...']);
  });

  test('is refused before anything is touched where a disk is gone, another’s, of another size, without key or room', async () => {
    const taken = await scene.take();
    await moveOn();
    const refused = async (expected: object, keyed = scene.disks): Promise<void> => {
      scene.host.calls.length = 0;
      await expect(scene.restore(taken, [], keyed)).rejects.toMatchObject(expected);
      expect(scene.host.calls).toEqual([]);
      expectMovedOn(JSON.stringify(expected));
    };
    await refused({ code: 'bad-request', message: expect.stringContaining(`no key of ${second().id}`) }, [first().id]);
    scene.host.freeDiskMiB = 256 + 4;
    await refused({
      code: 'host-full',
      message: expect.stringContaining('6 MiB beside what they are, 4 MiB are free'),
    });
    scene.host.freeDiskMiB = 1024;
    await writeSpec(first(), SIZES[0] + 512);
    await refused({ code: 'conflict', message: expect.stringContaining(`${first().id} has ${SIZES[0] + 512} bytes`) });
    await writeSpec(first(), SIZES[0]);

    const other = newMachineId();
    await create(scene.warden, other, { ...SPEC, disks: [second().id] });
    await refused({ code: 'conflict', message: `${other} has ${second().id} now` });
    await remove(scene.warden, other);

    const spec = readFileSync(scene.machine.spec, 'utf8');
    for (const [disks, message] of [
      [[], /the imported disks dsk_.* and dsk_.*, the machine has no imported disks/],
      [scene.disks.toReversed(), /the machine has the imported disks/],
    ] as const) {
      const record = JSON.parse(spec);
      writeFileSync(scene.machine.spec, JSON.stringify({ ...record, spec: { ...record.spec, disks } }));
      await refused({ code: 'conflict', message: expect.stringMatching(message) });
    }
    writeFileSync(scene.machine.spec, spec);

    renameSync(second().file, `${second().record}/elsewhere`);
    await expect(scene.restore(taken)).rejects.toMatchObject({ code: 'not-found' });
    renameSync(`${second().record}/elsewhere`, second().file);
    expectMovedOn('without one');
    await scene.restore(taken);
  });

  test('is not begun without room for all of them, and leaves nothing where one is gone or longer', async () => {
    scene.host.freeDiskMiB = 256 + 8;
    await expect(scene.take()).rejects.toMatchObject({ code: 'host-full' });
    expect(readdirSync(scene.machine.snapshots)).toEqual([]);
    scene.host.freeDiskMiB = 1024;
    truncateSync(first().file, SIZES[0] + 512);
    await expect(scene.take()).rejects.toMatchObject({ message: expect.stringContaining('has become one of') });
    truncateSync(first().file, SIZES[0]);
    rmSync(second().file);
    await expect(scene.take()).rejects.toMatchObject({ code: 'not-found' });
    expect(readdirSync(scene.machine.snapshots)).toEqual([]);
  });

  test('gives no disk to a clone, and its memory to none', async () => {
    const taken = await scene.take();
    const { snapshot } = taken;
    const clone = newMachineId();
    await create(scene.warden, clone);
    const asked = { op: 'ask-snapshot-key', snapshot, machine: scene.id, use: 'clone', clone } as const;
    await expect(ask<'ask-snapshot-key'>(scene.warden, asked)).rejects.toMatchObject({
      code: 'conflict',
      message: 'a machine with imported disks cannot be cloned',
    });
    await expect(holdTemplate(scene, taken)).rejects.toMatchObject({ code: 'conflict' });
  });
});
