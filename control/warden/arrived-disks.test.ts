// Imported disks that come with their machine from another host, on hosts of the mind: whole as soon as the machine is there, or not there.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { duplexPair, type Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { newBootId, newDiskId, newMachineId } from '@ringwall/api';
import { receivedSchema } from '@ringwall/api/transfers';
import type { SealedKey, WardenRequest } from '@ringwall/api/warden';
import { LUKS_HEADER_BYTES, makeLuksHeader } from '@ringwall/host/disk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sealKey, Secret } from '../keys/index.ts';
import { readDiskSpec, writeDiskSpec } from './disk-records.ts';
import { DISK_RESERVE_MIB } from './full.ts';
import { diskLayout, machineLayout, snapshotFile, type DiskLayout } from './layout.ts';
import {
  BROKER_KEY,
  ask,
  buildHello,
  CALL,
  create,
  existing,
  needsRoot,
  remove,
  Scene,
  SPEC,
} from './testing/scene.ts';
import { diskKeysFor, SnapshotScene, type Taken } from './testing/snapshot-scene.ts';
import type { Warden } from './warden.ts';

type Settling = Extract<WardenRequest, { op: 'settle-import' }>;

const MIB = 2 ** 20;
/** Of their contents. */
const SIZES = [MIB + 4096, 512] as const;
const DIGEST = 'aa'.repeat(32);
const CHUNK_BYTES = 4 * MIB;

let from: SnapshotScene;
let there: Scene;
let to: Warden;
/** One, and one that continues it: the first disk is written to in between. */
let whole: Taken;
let next: Taken;
beforeEach(async () => {
  if (needsRoot) return;
  from = await SnapshotScene.begin(async ({ host }, warden) => {
    const [id, boot] = [newMachineId(), newBootId()];
    const disks = SIZES.map(() => newDiskId());
    for (const [index, disk] of disks.entries()) {
      const place = diskLayout(host.layout, disk);
      const sizeBytes = SIZES[index] ?? 0;
      for (const folder of [place.record, place.data]) mkdirSync(folder, { recursive: true });
      writeFileSync(place.file, contentsOf(sizeBytes, 'moment 1'));
      await writeDiskSpec(place, { version: 1, disk, chunkBytes: CHUNK_BYTES, digest: DIGEST, sizeBytes });
    }
    await buildHello(warden);
    await create(warden, id, { ...SPEC, disks });
    const diskKeys = await diskKeysFor(warden, { id, boot, disks });
    await ask<'start-machine'>(warden, { op: 'start-machine', machine: id, boot, brokerKey: BROKER_KEY, diskKeys });
    return { id, boot, disks };
  });
  there = new Scene();
  to = await there.openWarden();
  await buildHello(to);
  whole = await from.take();
  const [first] = files(from.host.layout);
  const bytes = readFileSync(first?.file ?? '');
  bytes.write('moment 2', LUKS_HEADER_BYTES);
  writeFileSync(first?.file ?? '', bytes);
  from.host.importedSince.set(first?.id ?? newDiskId(), [{ offset: LUKS_HEADER_BYTES, length: 65_536 }]);
  next = await from.take(whole.snapshot);
});
afterEach(async () => {
  if (needsRoot) return;
  await from.end();
  await there.end();
});

function contentsOf(sizeBytes: number, words: string): Buffer {
  return Buffer.concat([makeLuksHeader(Buffer.alloc(64, 'a')), Buffer.alloc(sizeBytes, words)]);
}

function files(layout: Scene['host']['layout']): DiskLayout[] {
  return from.disks.map((disk) => diskLayout(layout, disk));
}

/** Brings both, as the daemon would; the envelope stays as it is. */
async function bring(changes: Partial<Settling> = {}): Promise<void> {
  const objects = [whole, next].map(({ snapshot, root }) => ({
    ...{ snapshot, root, object: readFileSync(snapshotFile(from.host.layout, from.id, snapshot)) },
  }));
  const [base, newest] = objects.map(({ snapshot, root, object }) => ({ snapshot, root, bytes: object.length }));
  if (base === undefined || newest === undefined) throw new Error('nothing was taken');
  const [ours, theirs] = duplexPair();
  let work: Promise<unknown> = Promise.resolve();
  const upgrade = (take: (stream: Duplex) => unknown): void => void (work = Promise.resolve(take(theirs)));
  await to.handle({ op: 'receive-snapshot', machine: from.id, ...newest, bases: [base] }, { ...CALL, upgrade });
  const said = text(ours);
  ours.end(Buffer.concat(objects.map(({ object }) => object)));
  await work;
  const answer = receivedSchema.parse(JSON.parse(await said));
  if (!('done' in answer)) throw new Error(answer.error.message);
  const { head, bases: [baseHead = ''] = [] } = answer.done;
  await ask<'settle-import'>(to, {
    ...({ op: 'settle-import', machine: from.id, snapshot: newest.snapshot, ekCertificate: 'AAAA' } as const),
    spec: { ...SPEC, disks: [...from.disks] },
    disks: from.disks.map((disk, index) => ({ disk, sizeBytes: SIZES[index] ?? 0, digest: DIGEST })),
    ...{ head, key: await keyFor(newest.snapshot) },
    bases: [{ snapshot: base.snapshot, root: base.root, came: { head: baseHead, key: await keyFor(base.snapshot) } }],
    ...changes,
  });
}

async function keyFor(snapshot: Taken['snapshot']): Promise<SealedKey> {
  const asked = { op: 'ask-snapshot-key', snapshot, machine: from.id, use: 'import' } as const;
  const { request } = await ask<'ask-snapshot-key'>(to, asked);
  using key = Secret.take(Buffer.alloc(32, snapshot));
  return { publicKey: request.publicKey, sealed: Buffer.from(sealKey(key, request)).toString('base64') };
}

async function expectNothing(what?: string): Promise<void> {
  const { layout } = there.host;
  expect(await existing(to), what).toEqual([]);
  expect(existsSync(machineLayout(layout, from.id).record), what).toBe(false);
  for (const { record, data } of files(layout))
    expect([existsSync(record), existsSync(data)], what).toEqual([false, false]);
}

describe.skipIf(needsRoot)('imported disks that come with a machine (skipped: needs root)', () => {
  test('are what the newest snapshot has of them, whole at once, and outlive their machine', async () => {
    await bring();
    const [first, second] = files(there.host.layout);
    const [here, were] = [first, files(from.host.layout)[0]].map((disk) => readFileSync(disk?.file ?? ''));
    expect(here?.equals(were ?? Buffer.of())).toBe(true);
    expect(here?.toString('latin1', LUKS_HEADER_BYTES, LUKS_HEADER_BYTES + 8)).toBe('moment 2');
    expect(readFileSync(second?.file ?? '').equals(contentsAt(1))).toBe(true);
    for (const [index, disk] of [first, second].entries()) {
      expect(disk && (await readDiskSpec(disk))).toMatchObject({ sizeBytes: SIZES[index], digest: DIGEST });
      expect(readdirSync(disk?.data ?? '')).toEqual(['disk.luks']);
    }
    await remove(to, from.id);
    const other = newMachineId();
    await create(to, other, { ...SPEC, disks: [...from.disks] });
    expect(await existing(to)).toEqual([other]);
  });

  test('of other names or sizes than its machine has, or without room, are refused before anything is made', async () => {
    const [one, two] = from.disks.map((disk, index) => ({ disk, sizeBytes: SIZES[index] ?? 0, digest: DIGEST }));
    if (one === undefined || two === undefined) throw new Error('it has two disks');
    for (const [what, disks, said] of [
      ['none', [], /other imported disks/],
      ['one', [one], /other imported disks/],
      ['the other way round', [two, one], /other imported disks/],
      ['another', [one, { ...two, disk: newDiskId() }], /other imported disks/],
      ['larger', [one, { ...two, sizeBytes: 1024 }], /another size in the snapshot/],
    ] as const) {
      await expect(bring({ disks: [...disks] }), what).rejects.toThrow(said);
      await expectNothing(what);
    }
    await expect(bring({ spec: SPEC, disks: [] })).rejects.toThrow(/imported disks/);
    await expectNothing();
    const capacity = await there.host.parts.host.capacity();
    const tight = { ...capacity, diskMiB: DISK_RESERVE_MIB + 4 };
    let asked = 0;
    // Room for what comes, and none for what is made of it.
    there.host.parts.host.capacity = async () => ((asked += 1) > 1 ? tight : capacity);
    await expect(bring()).rejects.toMatchObject({ code: 'host-full' });
    there.host.parts.host.capacity = async () => capacity;
    await expectNothing();
    await bring();
  });

  test('with a header that is none of ours are refused, and nothing is left of them', async () => {
    const [first] = files(from.host.layout);
    const bytes = readFileSync(first?.file ?? '');
    // So that it works on a key for hours.
    bytes.writeUInt32BE(0xffff_ffff, 212);
    writeFileSync(first?.file ?? '', bytes);
    whole = await from.take();
    next = await from.take(whole.snapshot);
    await expect(bring()).rejects.toThrow(/a header that ringwall does not write/);
    await expectNothing();
  });

  test('that were made, and their machine not, go with what a crash has left of it; what its machine has stays', async () => {
    await bring();
    const { layout } = there.host;
    const machine = machineLayout(layout, from.id);
    const mark = join(machine.record, 'creating');
    // Its machine is there: only the mark was left.
    writeFileSync(mark, from.disks.join('\n'));
    to = await there.openWarden();
    expect([existsSync(mark), await existing(to)]).toEqual([false, [from.id]]);
    for (const { file } of files(layout)) expect(existsSync(file)).toBe(true);
    rmSync(machine.spec);
    writeFileSync(mark, from.disks.join('\n'));
    to = await there.openWarden();
    await expectNothing();
    await bring();
  });

  test('that are there already, without their machine, are not touched', async () => {
    const [, second] = files(there.host.layout);
    if (second === undefined) throw new Error('it has two disks');
    for (const folder of [second.record, second.data]) mkdirSync(folder, { recursive: true });
    writeFileSync(second.file, 'what is on it');
    await writeDiskSpec(second, {
      version: 1,
      disk: second.id,
      chunkBytes: CHUNK_BYTES,
      digest: DIGEST,
      sizeBytes: 512,
    });
    await expect(bring()).rejects.toThrow(/is here already, without its machine/);
    expect(readFileSync(second.file, 'utf8')).toBe('what is on it');
    expect([await existing(to), existsSync(files(there.host.layout)[0]?.data ?? '')]).toEqual([[], false]);
  });

  test('leave with the machine that has them, by the word of their host, and with no other', async () => {
    const [disk] = from.disks;
    if (disk === undefined) throw new Error('it has two disks');
    const word = { op: 'ask-disk-key', disk, use: 'export' } as const;
    expect((await ask<'ask-disk-key'>(from.warden, { ...word, machine: from.id })).request).toMatchObject({ disk });
    for (const refused of [
      { ...word, machine: newMachineId() },
      word,
      { ...word, machine: from.id, disk: newDiskId() },
    ]) {
      await expect(ask<'ask-disk-key'>(from.warden, refused)).rejects.toThrow(/is not a disk of that machine/);
    }
  });
});

function contentsAt(index: number): Buffer {
  return readFileSync(files(from.host.layout)[index]?.file ?? '');
}
