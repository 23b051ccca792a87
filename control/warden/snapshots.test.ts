// Snapshots on a host of the mind: whole or absent, and a machine that is put back or is what it was.
import {
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { newBootId, newSnapshotId, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import type { SealedKey, WardenResponse } from '@ringwall/api/warden';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sealKey, Secret } from '../keys/index.ts';
import { machineLayout, snapshotFile, type MachineLayout } from './layout.ts';
import { failing, Killed } from './testing/fake-parts.ts';
import { ask, needsRoot, Scene, start, stop } from './testing/scene.ts';
import type { Warden } from './warden.ts';

const MEMORY = Buffer.alloc(300_000, 'what its memory was, ');
const BROKER_KEY = 'ab'.repeat(64);

let scene: Scene;
let warden: Warden;
let id: MachineId;
let machine: MachineLayout;
let boot: string;
beforeEach(async () => {
  scene = new Scene();
  if (needsRoot) return;
  warden = await scene.openWarden();
  ({ id } = await scene.made(warden));
  machine = machineLayout(scene.host.layout, id);
  boot = newBootId();
  await start(warden, id, boot);
  writeDisk('before the snapshot');
  scene.host.memory = MEMORY;
});
afterEach(() => scene.end());

async function keyFor(snapshot: SnapshotId, use: SnapshotKeyRequest['use'], of: MachineId = id): Promise<SealedKey> {
  const asked = { op: 'ask-snapshot-key', snapshot, machine: of, use } as const;
  const { request } = await ask<'ask-snapshot-key'>(warden, asked);
  using key = Secret.take(Buffer.alloc(32, snapshot));
  return { publicKey: request.publicKey, sealed: Buffer.from(sealKey(key, request)).toString('base64') };
}

async function take(snapshot = newSnapshotId()): Promise<WardenResponse<'take-snapshot'> & { snapshot: SnapshotId }> {
  const key = await keyFor(snapshot, 'take');
  const taken = await ask<'take-snapshot'>(warden, {
    op: 'take-snapshot',
    machine: id,
    boot,
    snapshot,
    sequence: 1,
    key,
  });
  return { ...taken, snapshot };
}

async function restore(
  { snapshot, root }: { readonly snapshot: SnapshotId; readonly root: string },
  of: MachineId = id,
): Promise<WardenResponse<'restore-machine'>> {
  const key = await keyFor(snapshot, 'restore', of);
  const order = { machine: of, boot: newBootId(), brokerKey: BROKER_KEY, snapshot, root, key };
  return ask<'restore-machine'>(warden, { op: 'restore-machine', ...order });
}

/** Stopped, with another disk and another TPM since. */
async function moveOn(): Promise<void> {
  await stop(warden, id);
  writeDisk('after the snapshot!');
  writeFileSync(`${machine.tpmState}/tpm2-00.permall`, 'a later state');
  scene.host.memory = Buffer.from('nothing');
}

function expectAsBefore(): void {
  expect(readDisk()).toBe('after the snapshot!');
  expect(readFileSync(`${machine.tpmState}/tpm2-00.permall`, 'utf8')).toBe('a later state');
  expect(readdirSync(machine.data).toSorted()).toEqual(['disk.img', 'tpm']);
  expect(existsSync(`${machine.record}/restoring`)).toBe(false);
}

function writeDisk(text: string, at = 4096): void {
  const disk = openSync(machine.disk, 'r+');
  writeSync(disk, text, at);
  closeSync(disk);
}

function readDisk(at = 4096, length = 19): string {
  const disk = openSync(machine.disk, 'r');
  const bytes = Buffer.alloc(length);
  readSync(disk, bytes, 0, length, at);
  closeSync(disk);
  return bytes.toString('latin1');
}

describe.skipIf(needsRoot)('a snapshot (skipped: needs root)', () => {
  test('holds memory and disk, encrypted, and gives them back', async () => {
    scene.host.whileStopped = () => {
      writeDisk('written meanwhile', 2 * 2 ** 20);
      return [{ offset: 2 * 2 ** 20, length: 65_536 }];
    };
    const taken = await take();
    expect(taken.pauseMs).toBe(7);
    const file = readFileSync(snapshotFile(scene.host.layout, id, taken.snapshot));
    expect(file.length).toBe(taken.bytes);
    for (const word of ['what its memory', 'before the snapshot', 'hello']) expect(file.includes(word)).toBe(false);
    await moveOn();
    const { running } = await restore(taken);
    expect(running.state).toBe('running');
    expect(Buffer.compare(scene.host.memory.subarray(0, MEMORY.length), MEMORY)).toBe(0);
    expect(readDisk()).toBe('before the snapshot');
    expect(readDisk(2 * 2 ** 20, 17)).toBe('written meanwhile');
    expect(readdirSync(machine.data).toSorted()).toEqual(['disk.img', 'tpm']);
    expect(readdirSync(machine.tpmState)).toEqual([]);
  });

  test('that was altered anywhere is refused with the place, and the machine is what it was', async () => {
    const taken = await take();
    const path = snapshotFile(scene.host.layout, id, taken.snapshot);
    const whole = readFileSync(path);
    await moveOn();
    const places = [3, 40, 1500, 5000, Math.floor(whole.length / 2), whole.length - 200, whole.length - 1];
    for (const at of places) {
      const altered = Buffer.from(whole);
      altered[at] = (altered[at] ?? 0) ^ 1;
      writeFileSync(path, altered);
      await expect(restore(taken), `byte ${String(at)}`).rejects.toMatchObject({ code: 'proof-invalid' });
      expectAsBefore();
    }
    for (const length of [0, 100, 10_000, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, length));
      await expect(restore(taken), `${String(length)} bytes`).rejects.toMatchObject({ code: 'proof-invalid' });
      expectAsBefore();
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.of(0)]));
    await expect(restore(taken)).rejects.toMatchObject({ code: 'proof-invalid' });
    expectAsBefore();
    expect(scene.runs()).toEqual([]);
    writeFileSync(path, whole);
    await restore(taken);
  });

  test('in the place of another, older or of another machine, is refused', async () => {
    const [one, two] = [await take(), await take()];
    const [from, to] = [one, two].map(({ snapshot }) => snapshotFile(scene.host.layout, id, snapshot));
    writeFileSync(to ?? '', readFileSync(from ?? ''));
    await moveOn();
    await expect(restore(two)).rejects.toMatchObject({ code: 'proof-invalid' });
    await expect(restore({ ...one, root: two.root })).rejects.toMatchObject({ code: 'proof-invalid' });
    expectAsBefore();
    await expect(restore({ ...one, snapshot: newSnapshotId() })).rejects.toMatchObject({ code: 'not-found' });
  });

  test.each<[string, Partial<{ qemu: string; firmware: string; cpu: string }>, RegExp]>([
    ['QEMU', { qemu: '9.2' }, /QEMU 7\.2, here is 9\.2/],
    ['firmware', { firmware: 'f2' }, /the firmware f1, here is f2/],
  ])('of another %s is refused before anything is touched', async (_, change, message) => {
    const taken = await take();
    await moveOn();
    scene.host.platform = { ...scene.host.platform, ...change };
    scene.host.calls.length = 0;
    await expect(restore(taken)).rejects.toMatchObject({ code: 'conflict', message: expect.stringMatching(message) });
    expect(scene.host.calls).toEqual([]);
    expectAsBefore();
  });

  test('that does not load leaves the machine as it was; so does a warden that is killed meanwhile', async () => {
    const taken = await take();
    await moveOn();
    scene.host.before = failing('vmm.start', new Error('QEMU died'));
    await expect(restore(taken)).rejects.toThrow('QEMU died');
    expectAsBefore();

    const [killed, dead] = [Promise.withResolvers<void>(), Promise.withResolvers<never>()];
    scene.host.before = async (effect) => {
      if (effect !== 'vmm.start') return;
      killed.resolve();
      await dead.promise;
    };
    const lost = restore(taken).catch(() => undefined);
    await killed.promise;
    expect(existsSync(`${machine.before}/disk.img`)).toBe(true);
    scene.host.before = () => undefined;
    await scene.openWarden();
    expectAsBefore();
    expect(scene.runs()).toEqual([]);
    dead.reject(new Killed());
    await lost;
    expectAsBefore();
  });

  test('that fails on the way is not there, and the guest goes on', async () => {
    scene.host.before = failing('vmm.save', new Error('no answer'));
    await expect(take()).rejects.toThrow('no answer');
    expect(readdirSync(machine.snapshots)).toEqual([]);
    expect(scene.host.calls.at(-1)).toBe('vmm.copied');
    scene.host.before = () => undefined;
    writeFileSync(`${snapshotFile(scene.host.layout, id, newSnapshotId())}.new`, 'half');
    await scene.openWarden();
    expect(readdirSync(machine.snapshots)).toEqual([]);
  });

  test('is sealed while the guest stands still where there is no room for a copy of its memory', async () => {
    scene.host.availableMiB = 1;
    const taken = await take();
    scene.host.availableMiB = 4096;
    await moveOn();
    await restore(taken);
    expect(Buffer.compare(scene.host.memory.subarray(0, MEMORY.length), MEMORY)).toBe(0);
    expect(scene.host.devices).toEqual(Buffer.from('devices and a TPM'));
  });

  test('that fails leaves no mark by which a guest would go on that somebody stops afterwards', async () => {
    scene.host.before = failing('vmm.save', new Error('no answer'));
    await expect(take()).rejects.toThrow('no answer');
    expect(existsSync(machine.saving)).toBe(false);
    // We died while it stood still, and the daemon stops it before anything is swept.
    writeFileSync(machine.saving, '');
    scene.host.before = () => undefined;
    await ask<'pause-machine'>(warden, { op: 'pause-machine', machine: id, boot });
    await warden.sweep(false);
    expect(scene.host.vmmState).toBe('paused');
    await ask<'resume-machine'>(warden, { op: 'resume-machine', machine: id, boot });
    writeFileSync(machine.saving, '');
    scene.host.vmmState = 'paused';
    await warden.sweep(false);
    expect(scene.host.vmmState).toBe('running');
  });

  test('does not keep its machine from being stopped once the guest goes on', async () => {
    const goesOn = Promise.withResolvers<void>();
    scene.host.before = (effect) => {
      if (effect === 'vmm.copied') goesOn.resolve();
    };
    const taking = take();
    await goesOn.promise;
    await ask<'pause-machine'>(warden, { op: 'pause-machine', machine: id, boot });
    await warden.sweep(true);
    expect((await taking).bytes).toBeGreaterThan(MEMORY.length);
    expect(readdirSync(machine.snapshots)).toHaveLength(1);
  });

  test('is checked without a key, and goes with its machine', async () => {
    const { snapshot, root } = await take();
    const check = { op: 'check-snapshot', machine: id, snapshot, root } as const;
    expect(await ask<'check-snapshot'>(warden, check)).toMatchObject({ whole: true, damaged: 0 });
    expect(await ask<'check-snapshot'>(warden, { ...check, root: '00'.repeat(32) })).toMatchObject({
      whole: false,
      reason: expect.stringContaining('another object'),
    });
    const path = snapshotFile(scene.host.layout, id, snapshot);
    const bytes = readFileSync(path);
    bytes[bytes.length - 1000] = (bytes[bytes.length - 1000] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    expect(await ask<'check-snapshot'>(warden, check)).toMatchObject({ whole: false, damaged: 1 });
    writeFileSync(path, bytes.subarray(0, 50));
    expect(await ask<'check-snapshot'>(warden, check)).toMatchObject({ whole: false, records: 0 });
    await stop(warden, id);
    await ask<'remove-machine'>(warden, { op: 'remove-machine', machine: id });
    expect(existsSync(machine.snapshots)).toBe(false);
  });

  test('is taken of what runs in the boot that is meant, and put back where nothing runs', async () => {
    const key = await keyFor(newSnapshotId(), 'take');
    const order = { op: 'take-snapshot', machine: id, snapshot: newSnapshotId(), sequence: 1, key } as const;
    const other = ask<'take-snapshot'>(warden, { ...order, boot: newBootId() });
    await expect(other).rejects.toMatchObject({ code: 'conflict' });
    scene.host.vmmState = 'paused';
    await expect(take()).rejects.toMatchObject({ code: 'conflict' });
    scene.host.vmmState = 'running';
    const taken = await take();
    await expect(restore(taken)).rejects.toMatchObject({ code: 'conflict' });
  });
});
