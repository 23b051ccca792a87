// Templates on a host of the mind: who may be started from one, and what is left when one of the parts ends too soon.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { newBootId, newSnapshotId, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import type { SealedKey, VmSpec } from '@ringwall/api/warden';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sealKey, Secret } from '../keys/index.ts';
import { MAX_TEMPLATES, refuseCrowded } from './hold-template.ts';
import { snapshotFile } from './layout.ts';
import { QUEUE_LIMIT_REQUESTS } from './queue.ts';
import { readBoot } from './records.ts';
import { failing } from './testing/fake-parts.ts';
import { goOn as goOnFrom, holdTemplate, makeClone, wordFor, type Clone } from './testing/live-clones.ts';
import { ask, list, needsRoot, remove, SPEC, start, stop } from './testing/scene.ts';
import { MEMORY, SnapshotScene, type Taken } from './testing/snapshot-scene.ts';

let scene: SnapshotScene;
beforeEach(async () => {
  if (!needsRoot) scene = await SnapshotScene.begin();
});
afterEach(async () => {
  if (!needsRoot) await scene.end();
});

const keyFor = (
  snapshot: SnapshotId,
  use: SnapshotKeyRequest['use'],
  clone: MachineId,
  secret?: string,
): Promise<SealedKey> => wordFor(scene, { snapshot, use, clone, ...(secret === undefined ? {} : { secret }) });
const hold = (taken: Pick<Taken, 'snapshot' | 'root'>, below: readonly Taken[] = []) =>
  holdTemplate(scene, taken, below);
const made = (spec?: VmSpec): Promise<Clone> => makeClone(scene, spec);
const goOn = (clone: Clone, snapshot: SnapshotId, key?: SealedKey) => goOnFrom(scene, clone, snapshot, key);
const held = async () => (await ask<'list-templates'>(scene.warden, { op: 'list-templates' })).templates;
const release = (snapshot: SnapshotId) => ask<'release-template'>(scene.warden, { op: 'release-template', snapshot });
const diskFiles = (): string[] => readdirSync(scene.host.layout.templates);

describe.skipIf(needsRoot)('a template (skipped: needs root)', () => {
  test('is opened once, whoever asks how often, and says what it takes', async () => {
    const taken = await scene.take();
    const first = await hold(taken);
    expect(first).toMatchObject({ snapshot: taken.snapshot, machine: scene.id, bytes: SPEC.memoryMiB * 2 ** 20 });
    const { calls } = scene.host;
    const opened = (): number => calls.filter((call) => call === 'vmm.holdTemplate').length;
    expect(await Promise.all([hold(taken), hold(taken)])).toEqual([first, first]);
    expect(opened()).toBe(1);
    await release(taken.snapshot);
    await release(taken.snapshot);
    expect([await held(), diskFiles(), scene.host.templates.held.size]).toEqual([[], [], 0]);
    await hold(taken);
    expect(opened()).toBe(2);
    // Asked for while it is released, it is opened anew.
    await Promise.all([release(taken.snapshot), hold(taken)]);
    expect(opened()).toBe(3);
    await goOn(await made(), taken.snapshot);
    expect([(await held()).length, scene.host.templates.held.size]).toEqual([1, 1]);
  });

  test('is none where too many ask for it, and still one for those that were before them', async () => {
    const taken = await scene.take();
    const asked = await Promise.allSettled(Array.from({ length: QUEUE_LIMIT_REQUESTS + 3 }, () => hold(taken)));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(QUEUE_LIMIT_REQUESTS);
    expect(await held()).toHaveLength(1);
    await stop(scene.warden, scene.id);
    await remove(scene.warden, scene.id);
    expect([await held(), scene.host.templates.held.size]).toEqual([[], 0]);
  });

  test('has what its snapshot continues, too', async () => {
    const one = await scene.take();
    scene.host.memory = Buffer.concat([Buffer.alloc(8192, 'later'), MEMORY.subarray(8192)]);
    const two = await scene.take(one.snapshot);
    expect(two.parent).toBe(one.snapshot);
    await hold(two, [one]);
    const clone = await made();
    await goOn(clone, two.snapshot);
    expect(
      Buffer.compare(
        scene.host.memory.subarray(0, MEMORY.length),
        Buffer.concat([Buffer.alloc(8192, 'later'), MEMORY.subarray(8192)]),
      ),
    ).toBe(0);
  });

  test('is not made of an object that was altered, and nothing of it stays', async () => {
    const taken = await scene.take();
    const path = snapshotFile(scene.host.layout, scene.id, taken.snapshot);
    const whole = readFileSync(path);
    for (const at of [3, 5000, Math.floor(whole.length / 2), whole.length - 1]) {
      const altered = Buffer.from(whole);
      altered[at] = (altered[at] ?? 0) ^ 1;
      writeFileSync(path, altered);
      await expect(hold(taken), `byte ${String(at)}`).rejects.toMatchObject({ code: 'proof-invalid' });
      expect([await held(), diskFiles()]).toEqual([[], []]);
    }
    writeFileSync(path, whole);
    scene.host.platform = { ...scene.host.platform, qemu: '9.2' };
    await expect(hold(taken)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('needs room, which is told, and a host holds no more than so many', async () => {
    const taken = await scene.take();
    scene.host.availableMiB = SPEC.memoryMiB;
    await expect(hold(taken)).rejects.toMatchObject({
      code: 'host-full',
      message: expect.stringContaining('0 MiB are free'),
    });
    scene.host.availableMiB = 4096;
    // Those that are asked for at once are looked at one after the other.
    scene.host.totalMemoryMiB = 2 * SPEC.memoryMiB;
    const both = await Promise.allSettled([hold(taken), hold(await scene.take())]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    for (const { snapshot } of await held()) await release(snapshot);
    scene.host.totalMemoryMiB = 2 * SPEC.memoryMiB - 1;
    await expect(hold(taken)).rejects.toMatchObject({
      code: 'host-full',
      hint: expect.stringContaining('template release'),
    });
    expect(await held()).toEqual([]);
    const room = { count: MAX_TEMPLATES, heldMiB: 0, wantedMiB: 1, freeMiB: 4096, totalMiB: 4096 };
    expect(() => refuseCrowded(room)).not.toThrow();
    expect(() => refuseCrowded({ ...room, count: MAX_TEMPLATES + 1 })).toThrow(/are held already/);
    expect(() => refuseCrowded({ ...room, heldMiB: 2048 })).toThrow(/at most 2048 MiB/);
  });

  test('beside another that is just being opened has what room that leaves', async () => {
    const [one, two] = [await scene.take(), await scene.take()];
    scene.host.totalMemoryMiB = 3 * SPEC.memoryMiB;
    const ended = await Promise.allSettled([hold(one), hold(two)]);
    expect(ended.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(await held()).toHaveLength(1);
  });

  test('goes with its snapshot, and with its machine, also where it is just being opened', async () => {
    const [one, two] = [await scene.take(), await scene.take()];
    await hold(one);
    await ask<'remove-snapshot'>(scene.warden, { op: 'remove-snapshot', machine: scene.id, snapshot: one.snapshot });
    expect(scene.host.templates.held.size).toBe(0);
    await expect(hold(one)).rejects.toMatchObject({ code: 'not-found' });

    const [opening, mayGoOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    scene.host.before = async (effect) => {
      if (effect !== 'vmm.holdTemplate') return;
      opening.resolve();
      await mayGoOn.promise;
    };
    const holding = hold(two);
    await opening.promise;
    await stop(scene.warden, scene.id);
    const removing = remove(scene.warden, scene.id);
    mayGoOn.resolve();
    await Promise.all([holding, removing]);
    expect([await held(), diskFiles(), scene.host.templates.held.size]).toEqual([[], [], 0]);
    scene.host.before = () => undefined;
    await expect(hold(two)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('is forgotten by a warden that ends, with what it had of a disk', async () => {
    const taken = await scene.take();
    await hold(taken);
    expect(diskFiles()).toEqual([`${taken.snapshot}.img`]);
    const clone = await made();
    const key = await keyFor(taken.snapshot, 'live', clone.id);
    scene.warden = await scene.openWarden();
    expect([await held(), diskFiles()]).toEqual([[], []]);
    await expect(goOn(clone, taken.snapshot, key)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('is not held'),
      hint: expect.stringContaining('template hold'),
    });
    // Nothing is asked of the broker then.
    await expect(keyFor(taken.snapshot, 'live', clone.id)).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe.skipIf(needsRoot)('a machine that goes on from a template (skipped: needs root)', () => {
  let taken: Taken;
  beforeEach(async () => {
    scene.writeDisk('its last block', SPEC.diskMiB * 2 ** 20 - 14);
    scene.host.whileStopped = () => [{ offset: SPEC.diskMiB * 2 ** 20 - 65_536, length: 65_536 }];
    taken = await scene.take();
    await hold(taken);
  });

  test('has memory, devices and disk of the snapshot, a TPM of its own, and no cable', async () => {
    scene.writeDisk('after the snapshot!');
    const [one, two] = [await made(), await made()];
    const states = [one, two].map(({ paths }) => readFileSync(paths.ekCertificate, 'hex'));
    for (const clone of [one, two]) {
      scene.host.memory = Buffer.from('nothing');
      const { running } = await goOn(clone, taken.snapshot);
      expect(running).toMatchObject({ machine: clone.id, boot: clone.boot, state: 'running' });
      expect(Buffer.compare(scene.host.memory.subarray(0, MEMORY.length), MEMORY)).toBe(0);
      expect(scene.readDisk(4096, 19, clone.paths)).toBe('before the snapshot');
      expect(scene.readDisk(SPEC.diskMiB * 2 ** 20 - 14, 14, clone.paths)).toBe('its last block');
      expect(readdirSync(clone.paths.data).toSorted()).toEqual(['disk.img', 'tpm']);
      expect(readdirSync(clone.paths.tpmState)).toEqual(['tpm2-00.permall']);
      expect(scene.host.cable).toBe('none');
    }
    expect([one, two].map(({ paths }) => readFileSync(paths.ekCertificate, 'hex'))).toEqual(states);
    expect(await held()).toMatchObject([{ machines: [one.id, two.id].toSorted() }]);
    expect(scene.readDisk()).toBe('after the snapshot!');
  });

  test('is one that the broker has spoken for: another key, clone or template is refused', async () => {
    const [clone, other] = [await made(), await made()];
    const another = await scene.take();
    await hold(another);
    // As a daemon could make it that knows no key.
    const forged = await keyFor(taken.snapshot, 'live', clone.id, 'whatever it likes');
    await expect(goOn(clone, taken.snapshot, forged)).rejects.toMatchObject({ code: 'unauthorized' });
    const forOther = await keyFor(taken.snapshot, 'live', other.id);
    await expect(goOn(clone, taken.snapshot, forOther)).rejects.toMatchObject({ code: 'conflict' });
    const ofOther = await keyFor(another.snapshot, 'live', clone.id);
    await expect(goOn(clone, taken.snapshot, ofOther)).rejects.toMatchObject({ code: 'conflict' });
    const forDisk = await keyFor(taken.snapshot, 'clone', clone.id);
    await expect(goOn(clone, taken.snapshot, forDisk)).rejects.toMatchObject({ code: 'conflict' });
    expect(scene.readDisk(4096, 19, clone.paths)).toBe('\0'.repeat(19));
    await goOn(clone, taken.snapshot);
  });

  test('is of the size and on the host that the state is of', async () => {
    const clone = await made({ ...SPEC, cpus: 2 });
    await expect(goOn(clone, taken.snapshot)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('cpus 1'),
    });
    const alike = await made();
    scene.host.platform = { ...scene.host.platform, qemu: '9.2' };
    await expect(goOn(alike, taken.snapshot)).rejects.toMatchObject({ code: 'conflict' });
    expect(scene.readDisk(4096, 19, alike.paths)).toBe('\0'.repeat(19));
  });

  test('is started once: asked again it is what runs, and its disk is never written over', async () => {
    const clone = await made();
    const first = await goOn(clone, taken.snapshot);
    scene.host.calls.length = 0;
    expect(await goOn(clone, taken.snapshot)).toEqual(first);
    expect(scene.host.calls).toEqual([]);
    await expect(goOn({ ...clone, boot: newBootId() }, taken.snapshot)).rejects.toMatchObject({ code: 'conflict' });
    await stop(scene.warden, clone.id);
    await expect(goOn(clone, taken.snapshot)).rejects.toMatchObject({ code: 'conflict', message: /its own/ });
    // It boots as what it is.
    await start(scene.warden, clone.id);
    expect((await readBoot(clone.paths))?.goesOnFrom).toBeUndefined();
    expect(await held()).toMatchObject([{ machines: [] }]);
  });

  test('cannot be saved until it has booted, whoever asks', async () => {
    const clone = await made();
    await goOn(clone, taken.snapshot);
    const snapshot = newSnapshotId();
    const asked = { op: 'ask-snapshot-key', snapshot, machine: clone.id, use: 'take' } as const;
    const { request } = await ask<'ask-snapshot-key'>(scene.warden, asked);
    using secret = Secret.take(Buffer.alloc(32, 1));
    const key = { publicKey: request.publicKey, sealed: Buffer.from(sealKey(secret, request)).toString('base64') };
    // By what is written down of its boot: it is the same after a warden was killed.
    const order = { machine: clone.id, boot: clone.boot, snapshot, sequence: 1, key };
    await expect(ask<'take-snapshot'>(scene.warden, { op: 'take-snapshot', ...order })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('goes on from a template'),
    });
  });

  test('that does not come up leaves nothing that runs, and neither does a warden that is killed meanwhile', async () => {
    const clone = await made();
    const before = scene.runs();
    scene.host.before = failing('vmm.start', new Error('QEMU died'));
    await expect(goOn(clone, taken.snapshot)).rejects.toThrow('QEMU died');
    expect(scene.runs()).toEqual(before);

    const other = await made();
    const [starting, dead] = [Promise.withResolvers<void>(), Promise.withResolvers<never>()];
    scene.host.before = async (effect) => {
      if (effect !== 'vmm.start') return;
      starting.resolve();
      await dead.promise;
    };
    const lost = goOn(other, taken.snapshot).catch(() => undefined);
    await starting.promise;
    scene.host.before = () => undefined;
    const next = await scene.openWarden();
    expect(scene.runs()).toEqual(before);
    dead.reject(new Error('killed'));
    await lost;
    expect((await list(next)).machines.map(({ machine }) => machine)).toEqual([scene.id]);
    await remove(next, other.id);
    expect(existsSync(other.paths.record)).toBe(false);
    scene.warden = next;
  });

  test('keeps its template from being released while it starts, and runs on without it', async () => {
    const clone = await made();
    const [starting, mayGoOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    scene.host.before = async (effect) => {
      if (effect !== 'tpm.start') return;
      starting.resolve();
      await mayGoOn.promise;
    };
    const started = goOn(clone, taken.snapshot);
    await starting.promise;
    const releasing = release(taken.snapshot);
    // Nobody begins with what is on its way out.
    const late = await made();
    await expect(keyFor(taken.snapshot, 'live', late.id)).rejects.toMatchObject({ code: 'conflict' });
    expect(scene.host.templates.held.size).toBe(1);
    mayGoOn.resolve();
    await started;
    await releasing;
    expect(scene.host.templates.held.size).toBe(0);
    expect((await list(scene.warden)).machines.find(({ machine }) => machine === clone.id)?.state).toBe('running');
  });
});
