// Imports as the daemon sees them: begun, carried, broken off, gone on with, and removed with their keys first.
import { type Duplex, duplexPair } from 'node:stream';
import type { Disk, ImportedDisk } from '@ringwall/api/disks';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WardenClient } from '../machines/index.ts';
import { World } from '../machines/testing/index.ts';
import { Disks } from './index.ts';

const BEGIN = { chunkBytes: 4096, have: 0, digest: '0'.repeat(64) };
const DIGEST = 'ab'.repeat(32);
const REQUEST = { name: 'web', sizeBytes: 8192, source: { format: 'qcow2', name: 'cloud.qcow2' } };

let world: World;
let disks: Disks;
/** What the warden says to the contents, a line each; nothing: it is gone. */
let answers: object[];
let got: Buffer;

function openDisks(): Disks {
  const { store, warden, broker, worker } = world;
  const openStream = async (): Promise<{ result: typeof BEGIN; stream: Duplex }> => {
    const [ours, theirs] = duplexPair();
    theirs.on('error', () => {});
    theirs.once('data', (bytes: Buffer) => {
      got = bytes;
      for (const answer of answers) theirs.write(`${JSON.stringify(answer)}\n`);
      theirs.end();
    });
    return { result: BEGIN, stream: ours };
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only the stream of an import is opened here
  const client = { call: warden.call, openStream } as unknown as WardenClient;
  const note = (line: string): void => void world.notes.push(line);
  return new Disks({ store, warden: client, broker, operations: worker.operations, note });
}

beforeEach(async () => {
  world = await World.open();
  disks = openDisks();
  answers = [{ progress: { step: 'writing', fraction: 0.5 } }, { done: { digest: DIGEST } }];
});
afterEach(() => world[Symbol.asyncDispose]());

/** As the command line does it, up to the end of the operation. */
async function importDisk(
  request = REQUEST,
): Promise<ImportedDisk & { readonly ended: string; readonly said: string }> {
  const imported = await disks.import(request);
  const [client, daemon] = duplexPair();
  let said = '';
  client.on('data', (bytes: Buffer) => (said += bytes.toString()));
  client.write('contents');
  await disks.takeContents(imported.disk.id, () => daemon).catch(() => {});
  daemon.destroy();
  const operation = await world.worker.operations.find(imported.operation.id);
  return { ...imported, ended: operation?.error?.message ?? operation?.state ?? 'gone', said };
}

const phases = async (): Promise<Disk['status']['phase'][]> => (await disks.list()).map(({ status }) => status.phase);

describe('an import', () => {
  test('carries the contents to the warden, and is ready once it was read back', async () => {
    const { ended, said } = await importDisk();
    expect([ended, got.toString(), JSON.parse(said)]).toEqual(['done', 'contents', BEGIN]);
    expect(await disks.list()).toMatchObject([{ name: 'web', status: { phase: 'ready', digest: DIGEST } }]);
    expect(world.broker.released).toMatchObject([{ use: 'import' }]);
    expect((await world.store.listEvents(0)).map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['disk.import-begun', 'disk.imported']),
    );
  });

  test('that breaks off goes on as the same disk, and with another size does not', async () => {
    answers = [{ error: { code: 'host-full', message: 'the disk of this host is full' }, destroyed: false }];
    const first = await importDisk();
    expect([first.ended, await phases()]).toEqual(['the disk of this host is full', ['incomplete']]);
    await expect(disks.import({ ...REQUEST, sizeBytes: 4096 })).rejects.toMatchObject({ code: 'conflict' });
    answers = [{ done: { digest: DIGEST } }];
    const second = await importDisk();
    expect([second.disk.id, second.ended]).toEqual([first.disk.id, 'done']);
  });

  test.each<[string, object[]]>([
    ['is gone', []],
    ['says what is no answer', [{ nonsense: true }]],
  ])('whose warden %s is incomplete, and says how it goes on', async (_, said) => {
    answers = said;
    const { ended } = await importDisk();
    expect([ended, await phases()]).toEqual(['the warden ended in the middle of the import', ['incomplete']]);
  });

  test('that was read back differently leaves neither disk nor key', async () => {
    answers = [{ error: { code: 'image-failed', message: 'differs from byte 4096 on' }, destroyed: true }];
    expect((await importDisk()).ended).toBe('differs from byte 4096 on');
    expect(await disks.list()).toEqual([]);
    expect(world.broker.count('forget-disk')).toBe(1);
  });

  test('takes each name once, and one import at a time', async () => {
    await disks.import(REQUEST);
    await expect(disks.import(REQUEST)).rejects.toMatchObject({ code: 'conflict' });
    await importDisk({ ...REQUEST, name: 'data' });
    await expect(disks.import({ ...REQUEST, name: 'data' })).rejects.toMatchObject({ code: 'name-taken' });
    await expect(disks.import({ ...REQUEST, name: '../x' })).rejects.toMatchObject({ code: 'name-invalid' });
    await expect(disks.takeContents('data', () => duplexPair()[0])).rejects.toMatchObject({ code: 'conflict' });
    await expect(disks.takeContents('none', () => duplexPair()[0])).rejects.toMatchObject({ code: 'not-found' });
  });

  test('that ringwalld did not survive is incomplete in its next life, and its operation failed', async () => {
    const { operation } = await disks.import(REQUEST);
    await world.end();
    await world.begin();
    disks = openDisks();
    await expect.poll(phases).toEqual(['incomplete']);
    await expect
      .poll(async () => (await world.worker.operations.find(operation.id))?.error?.message)
      .toContain('ringwalld was restarted');
    expect((await importDisk()).ended).toBe('done');
  });
});

describe('a disk', () => {
  test('is removed with its key first, and not while a machine has it', async () => {
    await importDisk();
    const { machine, operation } = await world.machines.create({ image: 'hello', name: 'm', attach: ['web'] });
    await world.ended(operation);
    expect(await disks.list()).toMatchObject([{ name: 'web', machine: 'm' }]);
    await expect(disks.remove('web')).rejects.toMatchObject({ code: 'conflict' });
    await world.ended(await world.machines.start('m'));
    expect(world.broker.released.at(-1)).toMatchObject({ use: 'start', machine: machine.id, boot: expect.any(String) });
    expect(world.warden.requests.find(({ op }) => op === 'start-machine')).toMatchObject({
      diskKeys: [{ disk: machine.spec.disks?.[0] }],
    });
    await world.ended(await world.machines.remove('m', { force: true }));
    expect(world.broker.requests.find(({ op }) => op === 'forget-machine')).toMatchObject({
      keeps: [{ id: machine.spec.disks?.[0], name: 'web' }],
    });

    world.warden.away = true;
    await expect(disks.remove('web')).rejects.toMatchObject({ code: 'warden-unavailable' });
    expect(world.broker.count('forget-disk')).toBe(1);
    world.warden.away = false;
    await disks.remove('web');
    expect(await disks.list()).toEqual([]);
  });
});
