// A removed machine's keys are gone, and a record says so that anybody can check.
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fromHex } from '@ringwall/bytes';
import { diskKeyId, parseErasure, verifyErasure, type SignedErasure } from '@ringwall/evidence';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BrokerStore } from './store.ts';
import { BrokerInstance, codeOf } from './testing/instance.ts';
import { newMachineId, type MachineId } from '@ringwall/api';

let broker: BrokerInstance;
beforeEach(async () => {
  broker = await BrokerInstance.start();
});
afterEach(() => broker[Symbol.asyncDispose]());

async function readErasure(subject: string, kind: 'machine' | 'disk' = 'machine'): Promise<SignedErasure> {
  const { erasure } = await broker.client.call({ op: 'read-erasure', kind, subject });
  return parseErasure(JSON.stringify(erasure));
}

const forget = (machine: MachineId): Promise<unknown> => broker.client.call({ op: 'forget-machine', machine });

describe('forget-machine', () => {
  test('leaves a signed record of each key that the machine ever had', async () => {
    const machine = await broker.addMachine();
    const brokerKey = await broker.brokerKey();
    const keys = [];
    for (const rotate of [true, false]) {
      const { guest } = await broker.boot(machine);
      keys.push((await guest.unlock(brokerKey)).key);
      if (!rotate) continue;
      await broker.client.call({ op: 'rotate-key', machine: machine.id });
      const next = await broker.boot(machine);
      await next.guest.unlock(brokerKey);
    }
    await forget(machine.id);
    await forget(machine.id);
    const erasure = await readErasure(machine.id);
    expect(await verifyErasure(erasure, { brokerKey: fromHex(brokerKey) })).toMatchObject({ outcome: 'proven' });
    const told = await Promise.all(keys.map(async (key) => diskKeyId(key)));
    expect(erasure.keys.map(({ version, id, how }) => [version, id, how])).toEqual([
      [1, told[0], 'rotated'],
      [2, told[1], 'erased'],
    ]);
    expect(erasure.searched).toMatchObject({ copies: 0 });
    expect(erasure.lastProof).toMatch(/^[0-9a-f]{64}$/);
    // By name too, and also by a broker that was restarted since.
    await broker.restart();
    expect(await readErasure('hello')).toEqual(erasure);
  });

  test('counts a key that was to come as destroyed, too', async () => {
    const machine = await broker.addMachine();
    const { guest } = await broker.boot(machine);
    await guest.unlock(await broker.brokerKey());
    await broker.client.call({ op: 'rotate-key', machine: machine.id });
    await forget(machine.id);
    expect((await readErasure(machine.id)).keys.map(({ version, how }) => [version, how])).toEqual([
      [1, 'erased'],
      [2, 'erased'],
    ]);
  });

  test('signs the record later where the broker was killed before it had', async () => {
    const machine = await broker.addMachine();
    await forget(machine.id);
    await broker.stop();
    {
      using db = new DatabaseSync(join(broker.stateDirectory, 'broker.db'));
      db.exec('UPDATE erasure SET record = NULL');
    }
    await broker.restart();
    const erasure = await readErasure(machine.id);
    expect(erasure.searched).toBeUndefined();
    expect((await verifyErasure(erasure)).outcome).toBe('unanchored');
  });

  test('there is no record of a machine that is there, or that never was', async () => {
    const machine = await broker.addMachine();
    for (const subject of [machine.id, newMachineId(), 'web']) {
      expect(await codeOf(broker.client.call({ op: 'read-erasure', kind: 'machine', subject }))).toBe('not-found');
    }
  });
});

describe('KeyStore', () => {
  // Pages of a tree are split and merged as machines come and go, and a cell that has moved leaves its bytes behind.
  test('leaves no byte of a wrapped key in any file, in whatever order machines come and go', async () => {
    await broker.stop();
    const keys = new Map<MachineId, Uint8Array>();
    {
      using store = BrokerStore.open(join(broker.stateDirectory, 'broker.db'));
      const add = (): void => {
        const id = newMachineId();
        const wrappedKey = new Uint8Array(randomBytes(64));
        keys.set(id, wrappedKey);
        const ekCertificate = new Uint8Array(randomBytes(700 + (keys.size % 5) * 100));
        store.addMachine(
          { id, name: id, ekCertificate, vtpmCa: [], keyVersion: 1, wrappedKey, disk: 'open', diskKind: 'encrypted' },
          new Date(),
        );
      };
      const gone: Uint8Array[] = [];
      for (let count = 0; count < 120; count += 1) add();
      for (const [index, [id, key]] of [...keys].entries()) {
        if (index % 3 === 0) continue;
        if (index % 4 === 0) store.renameMachine(id, 'x'.repeat(index * 10));
        store.keys.removeMachine(id, 'gone', '{}');
        gone.push(key);
        if (index % 10 === 0) add();
      }
      expect(await store.keys.search(gone)).toMatchObject({ copies: 0 });
      const kept = [...keys.values()].filter((key) => !gone.includes(key));
      expect((await store.keys.search(kept)).copies).toBe(kept.length);
      expect(filesWith(gone)).toEqual([]);
    }
    await broker.restart();
  });

  test('overwrites the log before it is cut off', async () => {
    await broker.stop();
    const path = join(broker.stateDirectory, 'broker.db');
    using store = BrokerStore.open(path);
    const id = newMachineId();
    const wrappedKey = new Uint8Array(randomBytes(64));
    store.addMachine(
      {
        id,
        name: 'a',
        ekCertificate: wrappedKey,
        vtpmCa: [],
        keyVersion: 1,
        wrappedKey,
        disk: 'open',
        diskKind: 'encrypted',
      },
      new Date(),
    );
    expect(readFileSync(`${path}-wal`).includes(wrappedKey)).toBe(true);
    store.keys.scrubLog();
    expect(readFileSync(`${path}-wal`)).toHaveLength(0);
    expect(store.readMachine(id)?.wrappedKey).toEqual(wrappedKey);
    store.renameMachine(id, 'b');
    expect(store.readMachine(id)?.name).toBe('b');
    store[Symbol.dispose]();
    await broker.restart();
  });
});

function filesWith(needles: readonly Uint8Array[]): string[] {
  return readdirSync(broker.stateDirectory).filter((name) => {
    const bytes = readFileSync(join(broker.stateDirectory, name));
    return needles.some((needle) => bytes.includes(needle));
  });
}
