// Snapshots on their way, as the daemon sees them: what broker, warden and store are left with, however it ends.
import { duplexPair, type Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { newMachineId, newSnapshotId, type MachineId } from '@ringwall/api';
import { signExport } from '@ringwall/evidence';
import { encodeExport } from '@ringwall/evidence';
import { describe, expect, test } from 'vitest';
import { makeReferenceKey } from '../broker/testing/reference.ts';
import { errorOf } from './testing/error-of.ts';
import { World } from './testing/world.ts';
import { Transfers } from './transfers.ts';

const TO = 'ab'.repeat(32);
const OBJECT = Buffer.from('a sealed object');

async function ticketOf(machine: MachineId, changes: { name?: string; image?: string } = {}): Promise<string> {
  const { name = 'web', image = 'hello' } = changes;
  const ticket = {
    ...({ id: '00'.repeat(16), mode: 'move', recipient: new Uint8Array(32), at: new Date() } as const),
    machine: { id: machine, name, image, cpus: 1, memoryMiB: 256, diskMiB: 64, watch: 'enforce' },
    tpm: {
      ...{ ekCertificate: Uint8Array.of(1), vtpmCa: [] },
      ...{ akName: undefined, unlockedAt: undefined, seenAt: undefined },
    },
    disk: { kind: 'encrypted', keyVersion: 1 } as const,
    snapshot: { id: newSnapshotId(), sequence: 4, root: '5a'.repeat(32), bytes: OBJECT.length, takenAt: new Date(0) },
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
  const { snapshot } = await transfers.beginImport({ ticket, head: 'AAAA' });
  const [ours, theirs] = duplexPair();
  const said = text(ours);
  ours.end(bytes);
  await transfers.takeObject(snapshot, (): Duplex => theirs).catch(() => undefined);
  return JSON.parse(await said);
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

  test('that is under way is not begun a second time: each would write over what the other has looked at', async () => {
    await using world = await World.open();
    const transfers = new Transfers(world);
    const { snapshot } = await transfers.beginImport({ ticket: await ticketOf(newMachineId()), head: 'AAAA' });
    const [ours, theirs] = duplexPair();
    const said = text(ours);
    const first = transfers.takeObject(snapshot, (): Duplex => theirs);
    const second = transfers.takeObject(snapshot, () => duplexPair()[0]);
    expect(await errorOf(second)).toMatchObject({ code: 'conflict', message: 'this snapshot is being imported' });
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
