// Snapshots on a host of the mind: whole or absent, and a machine that is put back or is what it was.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { newBootId, newMachineId, newSnapshotId, type MachineId } from '@ringwall/api';
import { snapshotIdSchema } from '@ringwall/api/snapshots';
import type { WardenResponse } from '@ringwall/api/warden';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sealKey, Secret } from '../keys/index.ts';
import { machineLayout, snapshotFile } from './layout.ts';
import { failing, Killed } from './testing/fake-parts.ts';
import { ask, create, needsRoot, SPEC, start, stop } from './testing/scene.ts';
import { MEMORY, MOVED_ON, SnapshotScene } from './testing/snapshot-scene.ts';

let scene: SnapshotScene;
beforeEach(async () => {
  if (!needsRoot) scene = await SnapshotScene.begin();
});
afterEach(async () => {
  if (!needsRoot) await scene.end();
});

describe.skipIf(needsRoot)('a snapshot (skipped: needs root)', () => {
  test('holds memory and disk, encrypted, and gives them back', async () => {
    scene.host.whileStopped = () => {
      scene.writeDisk('written meanwhile', 2 * 2 ** 20);
      return [{ offset: 2 * 2 ** 20, length: 65_536 }];
    };
    const taken = await scene.take();
    expect(taken.pauseMs).toBe(7);
    const file = readFileSync(snapshotFile(scene.host.layout, scene.id, taken.snapshot));
    expect(file.length).toBe(taken.bytes);
    for (const word of ['what its memory', 'before the snapshot', 'hello']) expect(file.includes(word)).toBe(false);
    await scene.moveOn();
    const { running } = await scene.restore(taken);
    expect(running.state).toBe('running');
    expect(Buffer.compare(scene.host.memory.subarray(0, MEMORY.length), MEMORY)).toBe(0);
    expect(scene.readDisk()).toBe('before the snapshot');
    expect(scene.readDisk(2 * 2 ** 20, 17)).toBe('written meanwhile');
    expect(readdirSync(scene.machine.data).toSorted()).toEqual(['disk.img', 'tpm']);
    expect(readdirSync(scene.machine.tpmState)).toEqual([]);
  });

  test('that was altered anywhere is refused with the place, and the machine is what it was', async () => {
    const taken = await scene.take();
    const path = snapshotFile(scene.host.layout, scene.id, taken.snapshot);
    const whole = readFileSync(path);
    await scene.moveOn();
    const places = [3, 40, 1500, 5000, Math.floor(whole.length / 2), whole.length - 200, whole.length - 1];
    for (const at of places) {
      const altered = Buffer.from(whole);
      altered[at] = (altered[at] ?? 0) ^ 1;
      writeFileSync(path, altered);
      await expect(scene.restore(taken), `byte ${String(at)}`).rejects.toMatchObject({ code: 'proof-invalid' });
      expect(scene.state()).toEqual(MOVED_ON);
    }
    for (const length of [0, 100, 10_000, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, length));
      await expect(scene.restore(taken), `${String(length)} bytes`).rejects.toMatchObject({ code: 'proof-invalid' });
      expect(scene.state()).toEqual(MOVED_ON);
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.of(0)]));
    await expect(scene.restore(taken)).rejects.toMatchObject({ code: 'proof-invalid' });
    expect(scene.state()).toEqual(MOVED_ON);
    expect(scene.runs()).toEqual([]);
    writeFileSync(path, whole);
    await scene.restore(taken);
  });

  test('in the place of another, older or of another machine, is refused', async () => {
    const [one, two] = [await scene.take(), await scene.take()];
    const [from, to] = [one, two].map(({ snapshot }) => snapshotFile(scene.host.layout, scene.id, snapshot));
    writeFileSync(to ?? '', readFileSync(from ?? ''));
    await scene.moveOn();
    await expect(scene.restore(two)).rejects.toMatchObject({ code: 'proof-invalid' });
    await expect(scene.restore({ ...one, root: two.root })).rejects.toMatchObject({ code: 'proof-invalid' });
    expect(scene.state()).toEqual(MOVED_ON);
    await expect(scene.restore({ ...one, snapshot: newSnapshotId() })).rejects.toMatchObject({ code: 'not-found' });
  });

  test.each<[string, Partial<{ qemu: string; firmware: string; cpu: string }>, RegExp]>([
    ['QEMU', { qemu: '9.2' }, /QEMU 7\.2, here is 9\.2/],
    ['firmware', { firmware: 'f2' }, /the firmware f1, here is f2/],
  ])('of another %s is refused before anything is touched', async (_, change, message) => {
    const taken = await scene.take();
    await scene.moveOn();
    scene.host.platform = { ...scene.host.platform, ...change };
    scene.host.calls.length = 0;
    await expect(scene.restore(taken)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(message),
    });
    expect(scene.host.calls).toEqual([]);
    expect(scene.state()).toEqual(MOVED_ON);
  });

  test('that does not load leaves the machine as it was; so does a warden that is killed meanwhile', async () => {
    const taken = await scene.take();
    await scene.moveOn();
    scene.host.before = failing('vmm.start', new Error('QEMU died'));
    await expect(scene.restore(taken)).rejects.toThrow('QEMU died');
    expect(scene.state()).toEqual(MOVED_ON);

    const [killed, dead] = [Promise.withResolvers<void>(), Promise.withResolvers<never>()];
    scene.host.before = async (effect) => {
      if (effect !== 'vmm.start') return;
      killed.resolve();
      await dead.promise;
    };
    const lost = scene.restore(taken).catch(() => undefined);
    await killed.promise;
    expect(existsSync(`${scene.machine.before}/disk.img`)).toBe(true);
    scene.host.before = () => undefined;
    await scene.openWarden();
    expect(scene.state()).toEqual(MOVED_ON);
    expect(scene.runs()).toEqual([]);
    dead.reject(new Killed());
    await lost;
    expect(scene.state()).toEqual(MOVED_ON);
  });

  test('that fails on the way is not there, and the guest goes on', async () => {
    scene.host.before = failing('vmm.save', new Error('no answer'));
    await expect(scene.take()).rejects.toThrow('no answer');
    expect(readdirSync(scene.machine.snapshots)).toEqual([]);
    expect(scene.host.calls.at(-1)).toBe('vmm.copied');
    scene.host.before = () => undefined;
    writeFileSync(`${snapshotFile(scene.host.layout, scene.id, newSnapshotId())}.new`, 'half');
    await scene.openWarden();
    expect(readdirSync(scene.machine.snapshots)).toEqual([]);
  });

  test('is sealed while the guest stands still where there is no room for a copy of its memory', async () => {
    scene.host.availableMiB = 1;
    const taken = await scene.take();
    scene.host.availableMiB = 4096;
    await scene.moveOn();
    await scene.restore(taken);
    expect(Buffer.compare(scene.host.memory.subarray(0, MEMORY.length), MEMORY)).toBe(0);
    expect(scene.host.devices).toEqual(Buffer.from('devices and a TPM'));
  });

  test('copies the memory of one machine after that of another: what one takes, the next does not count on', async () => {
    const [other, boot, snapshot] = [newMachineId(), newBootId(), newSnapshotId()];
    await create(scene.warden, other);
    await start(scene.warden, other, boot);
    const { vmm } = scene.host.parts;
    const copy = vmm.copy.bind(vmm);
    const mayHold: number[] = [];
    const [asked, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    vmm.copy = async (...order) => {
      const made = await copy(...order);
      const copyMemory: typeof made.copyMemory = async (maxBytes, before) => {
        mayHold.push(maxBytes / 2 ** 20);
        asked.resolve();
        if (mayHold.length === 1) await goOn.promise;
        scene.host.availableMiB -= 1000;
        return made.copyMemory(maxBytes, before);
      };
      return { ...made, copyMemory };
    };
    const first = scene.take();
    await asked.promise;
    const key = { snapshot, machine: other, use: 'take' } as const;
    const { request } = await ask<'ask-snapshot-key'>(scene.warden, { op: 'ask-snapshot-key', ...key });
    using secret = Secret.take(Buffer.alloc(32, snapshot));
    const sealed = Buffer.from(sealKey(secret, request)).toString('base64');
    const second = ask<'take-snapshot'>(scene.warden, {
      ...({ op: 'take-snapshot', machine: other, boot, snapshot, sequence: 1 } as const),
      key: { publicKey: request.publicKey, sealed },
    });
    await sleep(50);
    expect(mayHold).toHaveLength(1);
    goOn.resolve();
    await Promise.all([first, second]);
    expect(mayHold[1]).toBe((mayHold[0] ?? 0) - 1000);
  });

  test('that fails leaves no mark by which a guest would go on that somebody stops afterwards', async () => {
    scene.host.before = failing('vmm.save', new Error('no answer'));
    await expect(scene.take()).rejects.toThrow('no answer');
    expect(existsSync(scene.machine.saving)).toBe(false);
    // We died while it stood still, and the daemon stops it before anything is swept.
    writeFileSync(scene.machine.saving, '');
    scene.host.before = () => undefined;
    await ask<'pause-machine'>(scene.warden, { op: 'pause-machine', machine: scene.id, boot: scene.boot });
    await scene.warden.sweep(false);
    expect(scene.host.vmmState).toBe('paused');
    await ask<'resume-machine'>(scene.warden, { op: 'resume-machine', machine: scene.id, boot: scene.boot });
    writeFileSync(scene.machine.saving, '');
    scene.host.vmmState = 'paused';
    await scene.warden.sweep(false);
    expect(scene.host.vmmState).toBe('running');
  });

  test('does not keep its machine from being stopped once the guest goes on', async () => {
    const goesOn = Promise.withResolvers<void>();
    scene.host.before = (effect) => {
      if (effect === 'vmm.copied') goesOn.resolve();
    };
    const taking = scene.take();
    await goesOn.promise;
    await ask<'pause-machine'>(scene.warden, { op: 'pause-machine', machine: scene.id, boot: scene.boot });
    await scene.warden.sweep(true);
    expect((await taking).bytes).toBeGreaterThan(MEMORY.length);
    expect(readdirSync(scene.machine.snapshots)).toHaveLength(1);
  });

  test('that is removed while it is sealed is gone when that has ended', async () => {
    const goesOn = Promise.withResolvers<void>();
    scene.host.before = (effect) => {
      if (effect === 'vmm.copied') goesOn.resolve();
    };
    const taking = scene.take();
    await goesOn.promise;
    const [file = ''] = readdirSync(scene.machine.snapshots);
    const snapshot = snapshotIdSchema.parse(file.split('.')[0]);
    await ask<'remove-snapshot'>(scene.warden, { op: 'remove-snapshot', machine: scene.id, snapshot });
    await taking;
    expect(readdirSync(scene.machine.snapshots)).toEqual([]);
  });

  test('puts back first what an earlier restore laid aside and could not put back, and nothing older', async () => {
    const taken = await scene.take();
    await scene.moveOn();
    const { before, disk, tpmState, record } = scene.machine;
    scene.host.before = failing('vmm.start', new Error('QEMU died'));
    mkdirSync(`${before}/tpm`, { recursive: true });
    for (const name of ['tpm/tpm2-00.permall', 'disk.img']) writeFileSync(`${before}/${name}`, 'long ago');
    await expect(scene.restore(taken)).rejects.toThrow('QEMU died');
    expect(scene.state()).toEqual(MOVED_ON);

    mkdirSync(before);
    renameSync(disk, `${before}/disk.img`);
    renameSync(tpmState, `${before}/tpm`);
    writeFileSync(disk, Buffer.alloc(32 * 2 ** 20, 'half of what was opened'));
    mkdirSync(tpmState);
    writeFileSync(`${record}/restoring`, '');
    await expect(scene.restore(taken)).rejects.toThrow('QEMU died');
    expect(scene.state()).toEqual(MOVED_ON);
  });

  test('gives its disk to a machine that was never started, of the same image and size, whole or not at all', async () => {
    const { snapshot, root } = await scene.take();
    const clone = newMachineId();
    const paths = machineLayout(scene.host.layout, clone);
    const copy = async (to: MachineId): Promise<WardenResponse<'clone-disk'>> => {
      const asked = { op: 'ask-snapshot-key', snapshot, machine: scene.id, use: 'clone', clone: to } as const;
      const { request } = await ask<'ask-snapshot-key'>(scene.warden, asked);
      using key = Secret.take(Buffer.alloc(32, snapshot));
      const sealed = Buffer.from(sealKey(key, request)).toString('base64');
      const order = { from: scene.id, snapshot, root, key: { publicKey: request.publicKey, sealed }, ancestors: [] };
      return ask<'clone-disk'>(scene.warden, { op: 'clone-disk', machine: to, ...order });
    };
    await expect(copy(clone)).rejects.toMatchObject({ code: 'not-found' });
    await create(scene.warden, clone);
    scene.writeDisk('after the snapshot!');
    const path = snapshotFile(scene.host.layout, scene.id, snapshot);
    const whole = readFileSync(path);
    const altered = Buffer.from(whole);
    altered[whole.length - 200] = (altered[whole.length - 200] ?? 0) ^ 1;
    writeFileSync(path, altered);
    await expect(copy(clone)).rejects.toMatchObject({ code: 'proof-invalid' });
    expect(readdirSync(paths.data).toSorted()).toEqual(['disk.img', 'tpm']);
    expect(scene.readDisk(4096, 19, paths)).toBe('\0'.repeat(19));
    writeFileSync(path, whole);
    await copy(clone);
    expect(scene.readDisk(4096, 19, paths)).toBe('before the snapshot');
    expect(scene.readDisk()).toBe('after the snapshot!');
    await copy(clone); // a daemon that has died repeats it
    await start(scene.warden, clone, newBootId());
    await expect(copy(clone)).rejects.toMatchObject({ code: 'conflict' });

    const larger = newMachineId();
    await create(scene.warden, larger, { ...SPEC, diskMiB: 2 * SPEC.diskMiB });
    // Not even asked for.
    const unlike = { op: 'ask-snapshot-key', snapshot, machine: scene.id, use: 'clone', clone: larger } as const;
    await expect(ask<'ask-snapshot-key'>(scene.warden, unlike)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('is checked without a key, and goes with its machine', async () => {
    const { snapshot, root } = await scene.take();
    const check = { op: 'check-snapshot', machine: scene.id, snapshot, root } as const;
    expect(await ask<'check-snapshot'>(scene.warden, check)).toMatchObject({ whole: true, damaged: 0 });
    expect(await ask<'check-snapshot'>(scene.warden, { ...check, root: '00'.repeat(32) })).toMatchObject({
      whole: false,
      reason: expect.stringContaining('another object'),
    });
    const path = snapshotFile(scene.host.layout, scene.id, snapshot);
    const bytes = readFileSync(path);
    bytes[bytes.length - 1000] = (bytes[bytes.length - 1000] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    expect(await ask<'check-snapshot'>(scene.warden, check)).toMatchObject({ whole: false, damaged: 1 });
    writeFileSync(path, bytes.subarray(0, 50));
    expect(await ask<'check-snapshot'>(scene.warden, check)).toMatchObject({ whole: false, records: 0 });
    await stop(scene.warden, scene.id);
    await ask<'remove-machine'>(scene.warden, { op: 'remove-machine', machine: scene.id });
    expect(existsSync(scene.machine.snapshots)).toBe(false);
  });

  test('is taken of what runs in the boot that is meant, and put back where nothing runs', async () => {
    const key = await scene.keyFor(newSnapshotId(), 'take');
    const order = { op: 'take-snapshot', machine: scene.id, snapshot: newSnapshotId(), sequence: 1, key } as const;
    const other = ask<'take-snapshot'>(scene.warden, { ...order, boot: newBootId() });
    await expect(other).rejects.toMatchObject({ code: 'conflict' });
    scene.host.vmmState = 'paused';
    await expect(scene.take()).rejects.toMatchObject({ code: 'conflict' });
    scene.host.vmmState = 'running';
    const taken = await scene.take();
    await expect(scene.restore(taken)).rejects.toMatchObject({ code: 'conflict' });
  });
});
