// Snapshots that leave a host and come to another, as bytes: whole or not there, and for that host or refused.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { duplexPair, type Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { newBootId, newNetworkId, newSnapshotId, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import type { SealedKey, VmSpec } from '@ringwall/api/warden';
import { rewrap } from '@ringwall/seal';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sealKey, Secret } from '../keys/index.ts';
import { DISK_RESERVE_MIB } from './full.ts';
import { machineLayout, snapshotFile } from './layout.ts';
import { readSpec, writeSpec } from './records.ts';
import { ask, buildHello, CALL, needsRoot, Scene, SPEC, start, stop } from './testing/scene.ts';
import type { Warden } from './warden.ts';

const BROKER_KEY = 'ab'.repeat(64);
const MAC = '02:00:5e:00:00:01';

let here: Scene | undefined;
let there: Scene | undefined;
let from: Warden | undefined;
let to: Warden | undefined;

/** One that lies on the first host, of a machine that runs there. */
interface Taken {
  readonly machine: MachineId;
  readonly snapshot: SnapshotId;
  readonly root: string;
  readonly object: Buffer;
}
let taken: Taken;
/** One that continues it. */
let next: Taken;

beforeAll(async () => {
  if (needsRoot) return;
  here = new Scene();
  from = await here.openWarden();
  const { id } = await here.made(from);
  const boot = newBootId();
  await start(from, id, boot);
  here.host.memory = Buffer.alloc(300_000, 'what its memory was, ');
  here.host.cards.set(id, MAC);
  const snapshot = newSnapshotId();
  const key = await keyFor(from, id, snapshot, 'take');
  const order = { op: 'take-snapshot', machine: id, boot, snapshot, sequence: 1, key } as const;
  const { root } = await ask<'take-snapshot'>(from, order);
  taken = { machine: id, snapshot, root, object: readFileSync(snapshotFile(here.host.layout, id, snapshot)) };
  here.host.memory = Buffer.alloc(300_000, 'what its memory is, ');
  const later = newSnapshotId();
  const again = { ...order, snapshot: later, sequence: 2, key: await keyFor(from, id, later, 'take'), after: snapshot };
  const { root: laterRoot } = await ask<'take-snapshot'>(from, again);
  const object = readFileSync(snapshotFile(here.host.layout, id, later));
  next = { machine: id, snapshot: later, root: laterRoot, object };
});
afterAll(() => here?.end());
beforeEach(async () => {
  if (needsRoot) return;
  there = new Scene();
  to = await there.openWarden();
  await buildHello(to);
});
afterEach(() => there?.end());

/** Of every snapshot of this file the same, by its name: what brokers do about keys is not looked at here. */
async function keyFor(
  warden: Warden | undefined,
  machine: MachineId,
  snapshot: SnapshotId,
  use: SnapshotKeyRequest['use'],
): Promise<SealedKey> {
  const { request } = await ask<'ask-snapshot-key'>(defined(warden), {
    op: 'ask-snapshot-key',
    snapshot,
    machine,
    use,
  });
  using key = Secret.take(Buffer.alloc(32, use === 'take' ? 'there' : 'here'));
  return { publicKey: request.publicKey, sealed: Buffer.from(sealKey(key, request)).toString('base64') };
}

/** What the warden says of an object that is sent to it. */
async function send(
  bytes: Uint8Array,
  told: number = bytes.length,
  root: string = taken.root,
  snapshot: SnapshotId = taken.snapshot,
): Promise<{ done?: { head: string }; error?: { code: string; message: string } }> {
  const [ours, theirs] = duplexPair();
  let work: Promise<unknown> = Promise.resolve();
  const upgrade = (take: (stream: Duplex) => unknown): void => void (work = Promise.resolve(take(theirs)));
  const order = {
    op: 'receive-snapshot',
    machine: taken.machine,
    snapshot,
    bytes: told,
    root,
  } as const;
  await defined(to).handle(order, { ...CALL, upgrade });
  const said = text(ours);
  ours.end(bytes);
  await work;
  return JSON.parse(await said);
}

/** With the envelope that the second host's broker gives it. */
async function renderedHere(head = ''): Promise<string> {
  const { head: rendered } = await rewrap([Buffer.from(head, 'base64')], {
    openers: [{ kind: 'key', key: Buffer.alloc(32, 'there') }],
    recipients: [{ kind: 'key', key: Buffer.alloc(32, 'here') }],
  });
  return Buffer.from(rendered).toString('base64');
}

async function settle(head: string, spec: VmSpec = SPEC): Promise<void> {
  const { machine, snapshot } = taken;
  const key = await keyFor(to, machine, snapshot, 'import');
  await ask<'settle-import'>(defined(to), {
    ...{ op: 'settle-import', machine, snapshot, spec, key, ekCertificate: 'AAAA' },
    head: await renderedHere(head),
  });
}

async function bring(): Promise<void> {
  const { done } = await send(taken.object);
  await settle(done?.head ?? '');
}

/** What the warden says of both, as they come on one connection. */
async function sendBoth(
  bytes: Uint8Array,
  below: Pick<Taken, 'snapshot' | 'root' | 'object'> = taken,
): Promise<{ done?: { head: string; bases: string[] }; error?: { code: string } }> {
  const [ours, theirs] = duplexPair();
  let work: Promise<unknown> = Promise.resolve();
  const upgrade = (take: (stream: Duplex) => unknown): void => void (work = Promise.resolve(take(theirs)));
  const { machine, snapshot, root, object } = next;
  const order = { op: 'receive-snapshot', machine, snapshot, bytes: object.length, root } as const;
  const bases = [{ snapshot: below.snapshot, root: below.root, bytes: below.object.length }];
  await defined(to).handle({ ...order, bases }, { ...CALL, upgrade });
  const said = text(ours);
  ours.end(bytes);
  await work;
  return JSON.parse(await said);
}

async function settleBoth(heads: { head: string; bases: string[] }, root = taken.root): Promise<void> {
  const { machine, snapshot } = next;
  const [head, below] = [await renderedHere(heads.head), await renderedHere(heads.bases[0])];
  const [key, belowKey] = [
    await keyFor(to, machine, snapshot, 'import'),
    await keyFor(to, machine, taken.snapshot, 'import'),
  ];
  await ask<'settle-import'>(defined(to), {
    ...{ op: 'settle-import', machine, snapshot, spec: SPEC, key, ekCertificate: 'AAAA', head },
    bases: [{ snapshot: taken.snapshot, root, came: { head: below, key: belowKey } }],
  });
}

/** The one that continues the other alone, on top of what is there. */
async function bringNext(root = taken.root): Promise<void> {
  const { machine, snapshot, object } = next;
  const { done } = await send(object, object.length, next.root, snapshot);
  await ask<'settle-import'>(defined(to), {
    ...{ op: 'settle-import', machine, snapshot, spec: SPEC, ekCertificate: 'AAAA' },
    ...{ head: await renderedHere(done?.head), key: await keyFor(to, machine, snapshot, 'import') },
    bases: [{ snapshot: taken.snapshot, root }],
  });
}

function incoming(): string[] {
  const directory = join(defined(there).host.layout.snapshots, 'incoming');
  return existsSync(directory) ? readdirSync(directory) : [];
}

function snapshotsThere(): string[] {
  const files = readdirSync(machineLayout(defined(there).host.layout, taken.machine).snapshots);
  return files.map((file) => basename(file, '.sealed')).toSorted();
}

/** Puts the machine back on the second host to the one that continues the other; how its memory begins then. */
async function restoredMemory(): Promise<string> {
  const { machine, snapshot, root } = next;
  const order = { op: 'restore-machine', machine, boot: newBootId(), brokerKey: BROKER_KEY, snapshot, root } as const;
  const base = { snapshot: taken.snapshot, root: taken.root, key: await keyFor(to, machine, taken.snapshot, 'base') };
  const key = await keyFor(to, machine, snapshot, 'restore');
  await ask<'restore-machine'>(defined(to), { ...order, key, ancestors: [base] });
  return Buffer.from(defined(there).host.memory).toString('latin1', 0, 20);
}

/** Whether anything of the machine is on the second host. */
async function isThere(): Promise<boolean> {
  const { machines } = await ask<'list-existing'>(defined(to), { op: 'list-existing' });
  const layout = machineLayout(defined(there).host.layout, taken.machine);
  return machines.length > 0 || existsSync(layout.record) || existsSync(layout.data) || existsSync(layout.snapshots);
}

function defined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the scene is not set');
  return value;
}

describe.skipIf(needsRoot)('a snapshot on its way (skipped: needs root)', () => {
  test('leaves as it lies there, and makes a machine elsewhere that waits to be put back to it', async () => {
    const { machine, snapshot, object, root } = taken;
    const { head, bytes } = await ask<'read-snapshot-head'>(defined(from), {
      op: 'read-snapshot-head',
      machine,
      snapshot,
    });
    const [ours, theirs] = duplexPair();
    const upgrade = (take: (stream: Duplex) => unknown): void => void take(theirs);
    await defined(from).handle({ op: 'open-snapshot', machine, snapshot }, { ...CALL, upgrade });
    const body: Buffer[] = [];
    for await (const piece of ours) body.push(Buffer.from(piece));
    const left = Buffer.concat([Buffer.from(head, 'base64'), ...body]);
    expect(left.length).toBe(bytes);
    expect(left.equals(object)).toBe(true);

    await bring();
    expect(incoming()).toEqual([]);
    await expect(start(defined(to), machine)).rejects.toThrow(/is in its snapshot alone/);
    const key = await keyFor(to, machine, snapshot, 'restore');
    const order = {
      op: 'restore-machine',
      machine,
      boot: newBootId(),
      brokerKey: BROKER_KEY,
      snapshot,
      root,
      key,
    } as const;
    const { running } = await ask<'restore-machine'>(defined(to), { ...order, ancestors: [] });
    expect(running.state).toBe('running');
    expect(Buffer.from(defined(there).host.memory).toString('latin1', 0, 21)).toBe('what its memory was, ');
    // Its network is not here: its card leads nowhere.
    expect(defined(there).host.cards.get(machine)).toBe(MAC);
    expect(defined(there).host.cable).toBe('none');
    await expect(settleAgain()).rejects.toMatchObject({ code: 'conflict' });
    await stop(defined(to), machine);
    await start(defined(to), machine);
    // And comes back to where it was, whatever network it has there.
    await stop(defined(to), machine);
    const layout = machineLayout(defined(there).host.layout, machine);
    const record = defined(await readSpec(layout));
    await writeSpec(layout, { ...record, spec: { ...record.spec, network: newNetworkId() } });
    await settleAgain();
    await writeSpec(layout, { ...record, spec: { ...record.spec, cpus: 2 } });
    await expect(settleAgain()).rejects.toThrow(/another specification/);
  });

  test('that was flipped, cut, longer, or is another object leaves nothing where it came', async () => {
    const { object } = taken;
    const flipped = Buffer.from(object);
    flipped.writeUInt8(flipped.readUInt8(object.length - 200) ^ 1, object.length - 200);
    const swapped = Buffer.from(object);
    object.copy(swapped, 3000, 4000, 4100);
    const longer = Buffer.concat([object, Buffer.from('more')]);
    for (const [what, bytes, told, root] of [
      ['flipped', flipped, object.length, taken.root],
      ['swapped', swapped, object.length, taken.root],
      ['cut', object.subarray(0, -50), object.length, taken.root],
      ['longer', longer, longer.length, taken.root],
      ['longer than it was said to be', longer, object.length - 1, taken.root],
      ['of another root', object, object.length, '5a'.repeat(32)],
      ['nothing', Buffer.from('nothing'), 7, taken.root],
    ] as const) {
      const { error } = await send(bytes, told, root);
      expect({ what, code: error?.code }).toEqual({ what, code: 'proof-invalid' });
      expect(incoming(), what).toEqual([]);
    }
    expect(await isThere()).toBe(false);
  });

  test('of other sizes, or for a host with another QEMU, is refused before anything is made of it', async () => {
    for (const [spec, qemu, said] of [
      [{ ...SPEC, memoryMiB: 128 }, undefined, /memoryMiB 192, the machine has 128/],
      [SPEC, '9.9', /QEMU .*, here is 9\.9/],
    ] as const) {
      const { done } = await send(taken.object);
      const { host } = defined(there);
      const platform = await host.parts.host.platform();
      if (qemu !== undefined) host.parts.host.platform = async () => ({ ...platform, qemu });
      await expect(settle(done?.head ?? '', spec)).rejects.toThrow(said);
      host.parts.host.platform = async () => platform;
      expect(incoming()).toEqual([]);
      expect(await isThere()).toBe(false);
    }
  });

  test('that a warden which was killed had taken in is gone with the next', async () => {
    await send(taken.object);
    expect(incoming()).toEqual([taken.snapshot]);
    await defined(there).openWarden();
    expect(incoming()).toEqual([]);
  });

  test('that continues another comes with it, whole or not at all', async () => {
    const [one, two] = [taken.object, next.object];
    const flipped = Buffer.from(one);
    flipped.writeUInt8(one.readUInt8(one.length - 200) ^ 1, one.length - 200);
    for (const [what, bytes] of [
      ['in another order', Buffer.concat([two, one])],
      ['altered below', Buffer.concat([flipped, two])],
      ['without the second', one],
      ['with more behind', Buffer.concat([one, two, Buffer.from('more')])],
      ['the first twice', Buffer.concat([one, one])],
    ] as const) {
      const { error } = await sendBoth(bytes);
      expect({ what, code: error?.code }).toEqual({ what, code: 'proof-invalid' });
      expect(incoming(), what).toEqual([]);
    }
    const elsewhere = defined((await sendBoth(Buffer.concat([one, two]))).done);
    await expect(settleBoth(elsewhere, '5a'.repeat(32))).rejects.toThrow(/continues object/);
    expect(incoming()).toEqual([]);
    // Alone it is of no use.
    const { done: alone } = await sendBoth(Buffer.concat([one, two]));
    await expect(settleBoth({ ...defined(alone), bases: [defined(alone).head] })).rejects.toMatchObject({
      code: 'proof-invalid',
    });
    expect([incoming(), await isThere()]).toEqual([[], false]);

    await settleBoth(defined((await sendBoth(Buffer.concat([one, two]))).done));
    expect([incoming(), snapshotsThere()]).toEqual([[], [taken.snapshot, next.snapshot].toSorted()]);
    expect(await restoredMemory()).toBe('what its memory is, ');
  });

  test('that continues one that is there comes alone, and what is there stays as it lies', async () => {
    await bring();
    const file = snapshotFile(defined(there).host.layout, taken.machine, taken.snapshot);
    const before = [statSync(file, { bigint: true }), readFileSync(file)] as const;
    await bringNext();
    const { ino, ctimeNs } = statSync(file, { bigint: true });
    expect([ino, ctimeNs]).toEqual([before[0].ino, before[0].ctimeNs]);
    expect(readFileSync(file).equals(before[1])).toBe(true);
    expect([incoming(), snapshotsThere()]).toEqual([[], [taken.snapshot, next.snapshot].toSorted()]);
    expect(await restoredMemory()).toBe('what its memory is, ');
  });

  test('that continues another than the one that is there is refused, and changes nothing', async () => {
    // Neither the machine nor what it continues.
    await expect(bringNext()).rejects.toThrow(/its machine is gone/);
    expect([incoming(), await isThere()]).toEqual([[], false]);
    await bring();
    await expect(bringNext('5a'.repeat(32))).rejects.toThrow(/continues object/);
    const file = snapshotFile(defined(there).host.layout, taken.machine, taken.snapshot);
    const bytes = readFileSync(file);
    const renamed = Buffer.from(next.object.toString('latin1').replaceAll(next.snapshot, taken.snapshot), 'latin1');
    for (const [what, instead, said] of [
      ['another', next.object, /the object is "snp_/],
      ['another under its name', renamed, /continues object/],
      ['nothing of ours', Buffer.from('nothing'), /./],
      ['none', undefined, /is gone/],
    ] as const) {
      rmSync(file);
      if (instead !== undefined) writeFileSync(file, instead);
      await expect(bringNext(), what).rejects.toThrow(said);
      expect(incoming(), what).toEqual([]);
      expect(snapshotsThere(), what).toEqual(instead === undefined ? [] : [taken.snapshot]);
    }
    writeFileSync(file, bytes);
    await bringNext();
  });

  test('that does not fit on the disk is refused before it comes', async () => {
    const { host } = defined(there);
    const capacity = await host.parts.host.capacity();
    // What is kept free for records and logs is not for it.
    host.parts.host.capacity = async () => ({ ...capacity, diskMiB: DISK_RESERVE_MIB });
    await expect(send(taken.object)).rejects.toMatchObject({ code: 'host-full' });
  });
});

async function settleAgain(): Promise<void> {
  const { done } = await send(taken.object);
  await settle(done?.head ?? '');
}
