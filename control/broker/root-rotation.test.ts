// Another root key: what opens before, after, and wherever the broker is killed.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '@ringwall/bytes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openRootKey, Secret } from '../keys/index.ts';
import { commitRotation, prepareRotation } from './root-rotation.ts';
import { BrokerStore } from './store.ts';
import { BrokerInstance, type TestMachine } from './testing/instance.ts';

let broker: BrokerInstance;
let machine: TestMachine;
let key: string;

beforeEach(async () => {
  broker = await BrokerInstance.start();
  machine = await broker.addMachine();
  key = await unlock();
});
afterEach(() => broker[Symbol.asyncDispose]());

async function unlock(): Promise<string> {
  const { guest } = await broker.boot(machine);
  return toHex((await guest.unlock(await broker.brokerKey())).key);
}

const files = (): string[] => readdirSync(broker.stateDirectory).toSorted();
const rootKey = (): Buffer => readFileSync(join(broker.stateDirectory, 'root.key'));
const filesWith = (bytes: Uint8Array): string[] =>
  files().filter((name) => readFileSync(join(broker.stateDirectory, name)).includes(bytes));

describe('rotate-root-key', () => {
  test('leaves every key as it was, and nothing of the old root key or of what it wrapped', async () => {
    await broker.client.call({ op: 'rotate-key', machine: machine.id });
    const [before, brokerKey] = [rootKey(), await broker.brokerKey()];
    const wrapped = Buffer.from(readFileSync(join(broker.stateDirectory, 'signing.key')));
    expect(await broker.client.call({ op: 'rotate-root-key' })).toEqual({ keys: 1 });
    expect(rootKey().equals(before)).toBe(false);
    expect(filesWith(before)).toEqual([]);
    expect(filesWith(wrapped)).toEqual([]);
    expect(files().filter((name) => name.includes('next'))).toEqual([]);
    expect(await unlock()).toBe(key);
    await broker.restart();
    expect(await broker.brokerKey()).toBe(brokerKey);
    expect(await unlock()).not.toBe(key);
    // And once more.
    await broker.client.call({ op: 'rotate-root-key' });
    await broker.restart();
    expect(await broker.brokerKey()).toBe(brokerKey);
  });

  test.each([
    ['before the store has changed', false],
    ['after the store has changed', true],
  ])('is whole where the broker is killed %s', async (_when, commits) => {
    const brokerKey = await broker.brokerKey();
    await broker.stop();
    const before = rootKey();
    {
      using store = BrokerStore.open(join(broker.stateDirectory, 'broker.db'));
      using root = await openRootKey(join(broker.stateDirectory, 'root.key'), () => false);
      using fresh = Secret.random(32);
      await prepareRotation(broker.stateDirectory, root, fresh);
      if (commits) commitRotation(store, root, fresh);
    }
    await broker.restart();
    expect(rootKey().equals(before)).toBe(!commits);
    expect(files().filter((name) => name.includes('next'))).toEqual([]);
    expect(await broker.brokerKey()).toBe(brokerKey);
    expect(await unlock()).toBe(key);
  });
});
