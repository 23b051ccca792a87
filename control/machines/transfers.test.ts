// Snapshots on their way, as the daemon sees them: what broker, warden and store are left with, however it ends.
import { duplexPair, type Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { newDiskId, newMachineId, newSnapshotId, RingwallError, type MachineId, type SnapshotId } from '@ringwall/api';
import { snapshotIdSchema } from '@ringwall/api/snapshots';
import type { ImportSnapshot } from '@ringwall/api/transfers';
import { encodeExport, parseExport, signExport, type ExportedBase, type SealedDisk } from '@ringwall/evidence';
import { describe, expect, test } from 'vitest';
import { makeReferenceKey } from '../broker/testing/reference.ts';
import { errorOf } from './testing/error-of.ts';
import { World } from './testing/world.ts';
import { Transfers } from './transfers.ts';

const TO = 'ab'.repeat(32);
const OBJECT = Buffer.from('a sealed object');

interface Changes {
  readonly name?: string;
  readonly image?: string;
  readonly sequence?: number;
  readonly root?: string;
  readonly bases?: readonly ExportedBase[];
  readonly disks?: readonly SealedDisk[];
}

async function ticketOf(machine: MachineId, changes: Changes = {}): Promise<string> {
  const { name = 'web', image = 'hello', sequence = 4, root = '5a', bases = [], disks = [] } = changes;
  const ticket = {
    ...({ id: '00'.repeat(16), mode: 'move', recipient: new Uint8Array(32), at: new Date() } as const),
    machine: { id: machine, name, image, cpus: 1, memoryMiB: 256, diskMiB: 64, watch: 'enforce' },
    tpm: {
      ...{ ekCertificate: Uint8Array.of(1), vtpmCa: [] },
      ...{ akName: undefined, unlockedAt: undefined, seenAt: undefined },
    },
    disk: { kind: 'encrypted', keyVersion: 1 } as const,
    snapshot: { id: newSnapshotId(), sequence, root: root.repeat(32), bytes: OBJECT.length, takenAt: new Date(0) },
    bases,
    disks,
    diskKey: { enc: new Uint8Array(32), ciphertext: new Uint8Array(48) },
  };
  return encodeExport(await signExport(ticket, await makeReferenceKey()));
}

/** What the daemon says when so much has come. */
async function bring(
  world: World,
  ticket: string,
  bytes: Uint8Array = OBJECT,
): Promise<{ done?: object; error?: object }> {
  const transfers = new Transfers(world);
  const { snapshot } = await transfers.beginImport(shown(ticket));
  const [ours, theirs] = duplexPair();
  const said = text(ours);
  ours.end(bytes);
  const error = await transfers
    .takeObject(snapshot, (): Duplex => theirs)
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  // What is refused before the bytes are asked for is told by whoever has asked.
  if (!theirs.writableEnded && error instanceof RingwallError) theirs.end(JSON.stringify({ error: error.toBody() }));
  return JSON.parse(await said);
}

/** With a head for each object that it is for. */
function shown(ticket: string): ImportSnapshot {
  const bases = parseExport(ticket).bases.map(() => 'AAAA');
  return { ticket, head: 'AAAA', ...(bases.length === 0 ? {} : { bases }) };
}

function baseOf(sequence: number, root: string): ExportedBase {
  const object = { id: newSnapshotId(), sequence, root: root.repeat(32), bytes: 50, takenAt: new Date(0) };
  return { ...object, unlockedAt: undefined, seenAt: undefined };
}

/** A machine that has come with the first of two that another continues; and what is to come, without that one. */
async function partlyHere(
  world: World,
): Promise<{ id: MachineId; here: SnapshotId; ticket: string; coming: Uint8Array }> {
  const id = newMachineId();
  const first = await ticketOf(id, { sequence: 2 });
  await bring(world, first);
  const { snapshot } = parseExport(first);
  const here = snapshotIdSchema.parse(snapshot.id);
  world.broker.here.add(here);
  const bases = [{ ...snapshot, unlockedAt: undefined, seenAt: undefined }, baseOf(3, 'bb')];
  const ticket = await ticketOf(id, { bases, root: 'cc' });
  return { id, here, ticket, coming: Buffer.alloc(50 + OBJECT.length) };
}

describe('an export', () => {
  test('gives out ticket, head and object, and is in the trail; a machine moves when it is stopped', async () => {
    await using world = await World.open();
    await world.running('web');
    await world.ended(await world.machines.snapshot('web'));
    const transfers = new Transfers(world);
    expect(await transfers.export('web@1', { recipient: TO, mode: 'backup' })).toEqual({
      ticket: '{}',
      head: 'AAAA',
      bytes: 4096,
    });
    expect(await text(await transfers.openBody('web@1'))).toBe('what is sealed');
    expect(await errorOf(transfers.export('web@1', { recipient: TO, mode: 'move' }))).toMatchObject({
      code: 'conflict',
      message: 'web is running: only a machine that is stopped moves',
    });
    await world.ended(await world.machines.stop('web'));
    await transfers.export('web@1', { recipient: TO, mode: 'move' });
    expect(await world.eventKinds()).toEqual(expect.arrayContaining(['snapshot.exported', 'machine.moved']));
    expect(world.broker.requests.findLast(({ op }) => op === 'export-snapshot')).toMatchObject({
      spec: { image: 'hello', cpus: 1, memoryMiB: 512, diskMiB: 1024, watch: 'enforce' },
    });
  });
});

describe('a machine with imported disks', () => {
  const arriving = (name: string): SealedDisk => ({
    ...{ id: newDiskId(), name, sizeBytes: 4096, digest: 'ab'.repeat(32), source: { format: 'raw', name: 'a.raw' } },
    key: { enc: new Uint8Array(32), ciphertext: new Uint8Array(80) },
  });

  test('leaves with them, by the word of this host for each', async () => {
    await using world = await World.open();
    const disk = await world.importDisk('data');
    const wanted = { image: 'hello', name: 'web', attach: ['data'], start: true };
    await world.ended((await world.machines.create(wanted)).operation);
    await world.ended(await world.machines.snapshot('web'));
    await new Transfers(world).export('web@1', { recipient: TO, mode: 'backup' });
    const machine = await world.machines.find('web');
    expect(world.broker.requests.findLast(({ op }) => op === 'export-snapshot')).toMatchObject({
      disks: [
        {
          request: { disk: disk.id, use: 'export', machine: machine.id },
          ...{ name: 'data', sizeBytes: disk.spec.sizeBytes, digest: 'aa'.repeat(32), source: disk.spec.source },
        },
      ],
    });
  });

  test('comes with them, under names that are free, and they are its disks', async () => {
    await using world = await World.open();
    await world.importDisk('data');
    const [id, disks] = [newMachineId(), [arriving('data'), arriving('logs')]];
    const ticket = await ticketOf(id, { disks });
    expect(await bring(world, ticket)).toMatchObject({ done: { machine: { id } } });
    const ids = disks.map((disk) => disk.id);
    expect((await world.machines.find('web')).spec.disks).toEqual(ids);
    const named = (await world.store.disks.list()).filter((disk) => ids.includes(disk.id));
    expect(named.map(({ name }) => name)).toEqual(['data-2', 'logs']);
    expect(named[0]).toMatchObject({ status: { phase: 'ready', digest: 'ab'.repeat(32) } });
    expect(world.warden.requests.findLast(({ op }) => op === 'settle-import')).toMatchObject({
      spec: { disks: ids },
      disks: disks.map(({ id: disk, sizeBytes, digest }) => ({ disk, sizeBytes, digest })),
    });
    // The very same again finds a machine that has them.
    world.broker.imported?.delete(id);
    expect(await bring(world, ticket)).toMatchObject({ done: { machine: { id } } });
    expect((await world.store.disks.list()).filter((disk) => ids.includes(disk.id))).toEqual(named);
  });

  test('that the broker does not take in the end leaves none of them, nor where one is here already', async () => {
    await using world = await World.open();
    const [one, two] = [arriving('data'), arriving('logs')];
    world.broker.imported = undefined;
    const ticket = await ticketOf(newMachineId(), { disks: [one, two] });
    expect(await bring(world, ticket)).toMatchObject({ error: { code: 'host-full' } });
    expect(await world.store.disks.list()).toEqual([]);
    expect(world.warden.requests.filter(({ op }) => op === 'remove-disk')).toHaveLength(2);
    world.broker.imported = new Set();
    expect(await bring(world, ticket)).toMatchObject({ done: {} });
    const other = await ticketOf(newMachineId(), { name: 'other', disks: [one] });
    expect(await errorOf(bring(world, other))).toMatchObject({
      message: expect.stringMatching(/data of it is here already/),
    });
    expect(await world.store.disks.list()).toHaveLength(2);
  });
});

describe('an import', () => {
  test('makes a machine that is stopped, with its snapshot, and is taken by the broker last', async () => {
    await using world = await World.open();
    const id = newMachineId();
    expect(await bring(world, await ticketOf(id))).toMatchObject({
      done: { machine: { id }, snapshot: { sequence: 4 } },
    });
    expect(await world.machines.find('web')).toMatchObject({
      id,
      spec: { image: 'hello', memoryMiB: 256, running: false, encryption: 'guest' },
      status: { phase: 'stopped', trust: 'unknown', reasons: [expect.stringContaining('in its snapshot alone')] },
    });
    expect(await world.store.snapshots.list(id)).toMatchObject([{ sequence: 4, root: '5a'.repeat(32) }]);
    expect(world.broker.imported?.has(id)).toBe(true);
    expect(await world.eventKinds()).toEqual(expect.arrayContaining(['machine.arrived', 'snapshot.imported']));
    expect(await world.ended(await world.machines.restore('web', {}))).toMatchObject({ state: 'failed' });
  });

  test('that the broker refuses, that is cut, or that the broker has no room for leaves nothing', async () => {
    await using world = await World.open();
    const nothing = async (): Promise<void> => {
      expect(await world.store.listMachines()).toEqual([]);
      expect(await world.store.snapshots.list()).toEqual([]);
      expect(world.warden.machines.size).toBe(0);
    };
    world.broker.refusesImports = true;
    expect(await errorOf(bring(world, await ticketOf(newMachineId())))).toMatchObject({ code: 'unauthorized' });
    world.broker.refusesImports = false;
    await nothing();
    const cut = await bring(world, await ticketOf(newMachineId()), OBJECT.subarray(0, 5));
    expect(cut).toMatchObject({ error: { code: 'proof-invalid' } });
    await nothing();
    world.broker.imported = undefined;
    expect(await bring(world, await ticketOf(newMachineId()))).toMatchObject({ error: { code: 'host-full' } });
    await nothing();
    // The key, too.
    expect(world.broker.count('forget-snapshot')).toBe(1);
  });

  test('that was broken off by the end of ringwalld is completed by the same import once more', async () => {
    await using world = await World.open();
    const id = newMachineId();
    const ticket = await ticketOf(id);
    await bring(world, ticket);
    // All but its last step was done.
    world.broker.imported?.delete(id);
    expect(await bring(world, ticket)).toMatchObject({ done: { machine: { id }, snapshot: { sequence: 4 } } });
    expect(world.broker.imported?.has(id)).toBe(true);
    expect(await world.store.snapshots.list(id)).toHaveLength(1);
  });

  test('takes what is not here yet, and leaves what is as it was', async () => {
    await using world = await World.open();
    const { id, here, ticket, coming } = await partlyHere(world);
    const [was] = await world.store.snapshots.list(id);
    expect(await new Transfers(world).beginImport(shown(ticket))).toMatchObject({ bytes: coming.length, here: [here] });
    expect(await bring(world, ticket, coming)).toMatchObject({ done: { snapshot: { sequence: 4 } } });
    const { bases, snapshot } = parseExport(ticket);
    expect(world.warden.requests.find(({ op }) => op === 'check-snapshot')).toMatchObject({ snapshot: here });
    expect(world.warden.requests.findLast(({ op }) => op === 'receive-snapshot')).toMatchObject({
      bases: [{ snapshot: bases[1]?.id }],
    });
    expect(world.warden.requests.findLast(({ op }) => op === 'settle-import')).toMatchObject({
      bases: [{ snapshot: here }, { snapshot: bases[1]?.id, came: { head: 'AAAA' } }],
    });
    const settled = world.warden.requests.findLast((request) => request.op === 'settle-import');
    expect(settled?.bases?.[0]).not.toHaveProperty('came');
    const listed = await world.store.snapshots.list(id);
    // The newest first.
    expect(listed.map((each) => each.id)).toEqual([snapshot.id, bases[1]?.id, here]);
    expect(listed.find((each) => each.id === here)).toEqual(was);
  });

  test('that the broker does not take in the end takes back what came, and not what was here', async () => {
    await using world = await World.open();
    const { id, here, ticket, coming } = await partlyHere(world);
    const before = await world.store.snapshots.list(id);
    world.broker.imported = undefined;
    expect(await bring(world, ticket, coming)).toMatchObject({ error: { code: 'host-full' } });
    expect(await world.store.snapshots.list(id)).toEqual(before);
    expect([...world.warden.snapshots]).toEqual([here]);
    expect(world.broker.requests).not.toContainEqual({ op: 'forget-snapshot', snapshot: here });
    expect(await world.machines.find('web')).toMatchObject({ id });
  });

  test('on top of what is not whole here, or was removed or brought otherwise meanwhile, changes nothing', async () => {
    await using world = await World.open();
    const { id, here, ticket, coming } = await partlyHere(world);
    const before = await world.store.snapshots.list(id);
    const settled = world.warden.count('settle-import');
    world.warden.snapshots.delete(here);
    expect(await bring(world, ticket, coming)).toMatchObject({
      error: { code: 'proof-invalid', message: expect.stringMatching(/^web@2, .* is here already and not whole/) },
    });
    expect(world.warden.count('receive-snapshot')).toBe(1);
    world.warden.snapshots.add(here);
    // It is removed while the rest comes.
    world.warden.onRequest = ({ op }) => void (op === 'receive-snapshot' && world.broker.here.delete(here));
    expect(await bring(world, ticket, coming)).toMatchObject({ error: { code: 'conflict' } });
    world.warden.onRequest = () => undefined;
    world.broker.here.add(here);
    expect(await world.store.snapshots.list(id)).toEqual(before);
    expect(world.warden.count('settle-import')).toBe(settled);
    // The broker has its key, and nothing lists it.
    for (const each of before) {
      await world.store.snapshots.delete(each, { kind: 'snapshot.removed', machine: id, message: 'gone' });
    }
    expect(await bring(world, ticket, coming)).toMatchObject({ error: { code: 'conflict' } });
  });

  test('that is under way is not begun a second time: each would write over what the other has looked at', async () => {
    await using world = await World.open();
    const transfers = new Transfers(world);
    const id = newMachineId();
    const { snapshot } = await transfers.beginImport({ ticket: await ticketOf(id), head: 'AAAA' });
    const { snapshot: other } = await transfers.beginImport({ ticket: await ticketOf(id), head: 'AAAA' });
    const [ours, theirs] = duplexPair();
    const said = text(ours);
    const first = transfers.takeObject(snapshot, (): Duplex => theirs);
    const second = transfers.takeObject(other, () => duplexPair()[0]);
    expect(await errorOf(second)).toMatchObject({
      code: 'conflict',
      message: 'a snapshot of this machine is being imported',
    });
    ours.end(OBJECT);
    await first;
    expect(JSON.parse(await said)).toMatchObject({ done: { snapshot: { id: snapshot } } });
  });

  test('is refused for a name that is taken, an image that is not here, a machine that runs, and without a ticket', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    const transfers = new Transfers(world);
    const begin = (ticket: string, name?: string): Promise<unknown> =>
      transfers.beginImport({ ticket, head: 'AAAA', ...(name === undefined ? {} : { name }) });
    expect(await errorOf(begin(await ticketOf(id)))).toMatchObject({ code: 'conflict' });
    expect(await errorOf(begin(await ticketOf(newMachineId())))).toMatchObject({ code: 'name-taken' });
    expect(await errorOf(begin(await ticketOf(newMachineId()), '../x'))).toMatchObject({ code: 'name-invalid' });
    const unknown = await ticketOf(newMachineId(), { name: 'other', image: 'nowhere' });
    expect(await errorOf(begin(unknown))).toMatchObject({ code: 'image-unknown' });
    world.warden.images = world.warden.images.map((image) => ({ ...image, built: false }));
    const unbuilt = await errorOf(begin(await ticketOf(newMachineId(), { name: 'other' })));
    expect(unbuilt).toMatchObject({ code: 'image-unknown', message: 'the image hello is not built on this host' });
    world.warden.images = world.warden.images.map((image) => ({ ...image, built: true }));
    expect(await errorOf(begin('{}'))).toMatchObject({ code: 'proof-invalid' });
    await begin(await ticketOf(newMachineId()), 'other');
    expect(await errorOf(transfers.takeObject(newSnapshotId(), () => duplexPair()[0]))).toMatchObject({
      code: 'conflict',
    });
  });
});
