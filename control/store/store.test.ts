import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Event, type Machine, newMachineId, newOperationId, type Operation, RingwallError } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Store } from './store.ts';

let folder: string;
let path: string;
let store: Store;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-store-'));
  path = join(folder, 'ringwall.db');
  store = await Store.open(path);
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const AT = '2026-01-02T03:04:05.678Z';

function machineNamed(name: string): Machine {
  return {
    id: newMachineId(),
    tenant: 'default',
    name,
    version: 1,
    createdAt: AT,
    spec: {
      image: 'hello',
      cpus: 1,
      memoryMiB: 512,
      diskMiB: 64,
      isolation: 'vm',
      running: false,
      watch: 'enforce',
      encryption: 'guest',
    },
    status: { phase: 'stopped', trust: 'unknown', reasons: [], diskUnlocked: false },
  };
}

function creationOf(machine: Machine): Operation {
  return {
    id: newOperationId(),
    kind: 'machine.create',
    machine: machine.id,
    state: 'running',
    step: 'making it',
    createdAt: AT,
    updatedAt: AT,
  };
}

async function insert(machine: Machine, operation: Operation = creationOf(machine)): Promise<void> {
  await store.insertMachine(machine, operation, { name: machine.name }, { kind: 'machine.created', message: 'made' });
}

async function reopen(): Promise<void> {
  await store.close();
  store = await Store.open(path);
}

describe('machines', () => {
  test('what was inserted is found by id and by name, also after reopening', async () => {
    const machine = machineNamed('one');
    await insert(machine);
    await reopen();
    expect(await store.findMachine('one')).toEqual(machine);
    expect(await store.findMachine(machine.id)).toEqual(machine);
    expect(await store.findMachine('two')).toBeUndefined();
  });

  test('a name is given once, and the refused insert leaves no operation behind', async () => {
    await insert(machineNamed('one'));
    await expect(insert(machineNamed('one'))).rejects.toMatchObject({ code: 'name-taken' });
    expect(await store.listRunningOperations()).toHaveLength(1);
    expect(await store.listEvents(0)).toHaveLength(1);
  });

  test('updateMachine() refuses a version that has moved on, and writes nothing then', async () => {
    const machine = machineNamed('one');
    await insert(machine);
    const spec = { ...machine.spec, running: true };
    expect(await store.updateMachine(machine.id, 1, { spec })).toEqual({ ...machine, spec, version: 2 });
    const stale = store.updateMachine(machine.id, 1, { spec: machine.spec }, { kind: 'x', message: 'x' });
    await expect(stale).rejects.toMatchObject({ code: 'conflict' });
    expect(await store.findMachine('one')).toMatchObject({ version: 2, spec: { running: true } });
    expect((await store.listEvents(0)).map((event) => event.kind)).toEqual(['machine.created']);
  });

  test('of two changes at the same time from the same version, one wins', async () => {
    const machine = machineNamed('one');
    await insert(machine);
    const results = await Promise.allSettled(
      [true, false].map((running) => store.updateMachine(machine.id, 1, { spec: { ...machine.spec, running } })),
    );
    expect(results.map((result) => result.status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });

  test('a status that the schema does not know is an error and not a guess', async () => {
    await insert(machineNamed('one'));
    await store.close();
    const database = new DatabaseSync(path);
    database.exec(`update machines set status = '{"phase":"splendid"}'`);
    database.close();
    store = await Store.open(path);
    await expect(store.listMachines()).rejects.toThrow(/phase/);
  });
});

describe('operations', () => {
  test('one that had not ended is found again with its request; once finished it is not', async () => {
    const machine = machineNamed('one');
    const operation = creationOf(machine);
    await insert(machine, operation);
    await reopen();
    expect(await store.listRunningOperations()).toEqual([{ operation, request: { name: 'one' } }]);
    const failed: Operation = { ...operation, state: 'failed', error: { code: 'timeout', message: 'too slow' } };
    await store.finishOperation(failed);
    expect(await store.listRunningOperations()).toEqual([]);
    expect(await store.findOperation(operation.id)).toEqual(failed);
  });

  test('pruneOperations() forgets old ended ones, never a running one', async () => {
    const [ended, running] = [creationOf(machineNamed('one')), creationOf(machineNamed('two'))];
    await store.insertOperation(ended, {});
    await store.insertOperation(running, {});
    await store.finishOperation({ ...ended, state: 'done' });
    await store.pruneOperations(new Date('2026-01-03'));
    expect(await store.findOperation(ended.id)).toBeUndefined();
    expect(await store.findOperation(running.id)).toEqual(running);
  });
});

describe('the audit trail', () => {
  test('events are numbered in order, read from a number on, and heard of', async () => {
    const heard: Event[] = [];
    {
      using _ = store.watchEvents((event) => heard.push(event));
      await store.appendEvent({ kind: 'a', message: 'first' });
      await store.appendEvent({ kind: 'b', message: 'second', machine: newMachineId() });
    }
    await store.appendEvent({ kind: 'c', message: 'third' });
    expect(heard.map((event) => event.kind)).toEqual(['a', 'b']);
    expect((await store.listEvents(1)).map((event) => [event.seq, event.kind])).toEqual([
      [2, 'b'],
      [3, 'c'],
    ]);
  });

  test('cannot be changed or shortened, not even with SQL', async () => {
    await store.appendEvent({ kind: 'a', message: 'first' });
    await store.close();
    const database = new DatabaseSync(path);
    expect(() => database.exec('delete from events')).toThrow('only added to');
    expect(() => database.exec(`update events set message = 'x'`)).toThrow('only added to');
    database.close();
    store = await Store.open(path);
  });
});

describe('boots', () => {
  test('the record of a boot is replaced by the next, and goes with its machine', async () => {
    const machine = machineNamed('one');
    await insert(machine);
    await store.saveBoot(machine.id, { boot: 'a', reference: { events: [1] } });
    await store.saveBoot(machine.id, { boot: 'b', reference: { events: [2] }, proven: ['it is the TPM'] });
    expect(await store.findBoot(machine.id)).toMatchObject({ proven: ['it is the TPM'] });
    await store.saveBoot(machine.id, { boot: 'b', reference: { events: [2] } });
    expect(await store.findBoot(machine.id)).toEqual({ boot: 'b', reference: { events: [2] } });
    await store.deleteMachine(machine.id, { kind: 'machine.removed', message: 'gone' });
    expect(await store.findBoot(machine.id)).toBeUndefined();
    expect(await store.findMachine(machine.id)).toBeUndefined();
  });

  test('boot times are kept by image and accelerator', async () => {
    await store.saveBootTime('hello', 'tcg', 20_000.4);
    await store.saveBootTime('hello', 'tcg', 18_000);
    expect(await store.findBootTime('hello', 'tcg')).toBe(18_000);
    expect(await store.findBootTime('hello', 'kvm')).toBeUndefined();
  });
});

describe('Store.open()', () => {
  test('refuses a store that is in use', async () => {
    await expect(Store.open(path)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('refuses a file that is no database, and leaves it as it was', async () => {
    const other = join(folder, 'other.db');
    writeFileSync(other, 'not a database, but long enough to be looked at as one: '.repeat(40));
    const error = await Store.open(other).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(RingwallError);
    expect(error).toMatchObject({ code: 'internal', message: expect.stringContaining('damaged') as unknown });
  });

  test('refuses a store that a newer version has written', async () => {
    await store.close();
    const database = new DatabaseSync(path);
    database.exec(`insert into kysely_migration values ('9999-later', '${AT}')`);
    database.close();
    await expect(Store.open(path)).rejects.toMatchObject({ hint: expect.stringContaining('newer') as unknown });
    const repaired = new DatabaseSync(path);
    repaired.exec(`delete from kysely_migration where name = '9999-later'`);
    repaired.close();
    store = await Store.open(path);
  });

  test('says which folder is missing', async () => {
    const missing = join(folder, 'missing', 'ringwall.db');
    await expect(Store.open(missing)).rejects.toMatchObject({ message: expect.stringContaining(missing) as unknown });
  });
});
