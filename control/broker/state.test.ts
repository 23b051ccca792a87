// What a broker keeps on disk: whole, private, and its own.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '@ringwall/bytes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { serveBroker } from './index.ts';
import { BrokerInstance } from './testing/instance.ts';

let broker: BrokerInstance;

beforeEach(async () => {
  broker = await BrokerInstance.start();
});
afterEach(() => broker[Symbol.asyncDispose]());

describe('the state', () => {
  test('is for its user alone, and holds neither a key nor a private key in clear', async () => {
    const machine = await broker.addMachine();
    const { guest } = await broker.boot(machine);
    const { key } = await guest.unlock(await broker.brokerKey());
    await broker.restart();
    for (const name of readdirSync(broker.stateDirectory)) {
      const path = join(broker.stateDirectory, name);
      expect(statSync(path).mode & 0o077, name).toBe(0);
      expect(readFileSync(path).includes(Buffer.from(key)), name).toBe(false);
    }
    const log = readFileSync(join(broker.stateDirectory, 'audit.log'), 'utf8');
    expect(log).toContain('"what":"release"');
    expect(log).not.toContain(toHex(key));
  });

  test('comes back whole after a restart: keys, verdicts, proofs', async () => {
    const machine = await broker.addMachine();
    const brokerKey = await broker.brokerKey();
    const { boot, guest } = await broker.boot(machine);
    const { key } = await guest.unlock(brokerKey);
    const before = await broker.verdict(machine, boot);
    await broker.restart();
    expect(await broker.brokerKey()).toBe(brokerKey);
    expect(await broker.verdict(machine, boot)).toEqual(before);
    const again = await broker.boot(machine);
    expect(toHex((await again.guest.unlock(brokerKey)).key)).toBe(toHex(key));
  });

  test('is not opened by a second broker', async () => {
    const second = serveBroker({
      stateDirectory: broker.stateDirectory,
      socketPath: join(broker.directory, 'second.sock'),
    });
    await expect(second).rejects.toMatchObject({ code: 'conflict' });
  });

  test('is refused where its root key is gone or another, and left as it is', async () => {
    const path = join(broker.stateDirectory, 'root.key');
    await broker.addMachine();
    const kept = readFileSync(path);
    rmSync(path);
    await expect(broker.restart()).rejects.toMatchObject({ code: 'conflict' });
    writeFileSync(path, Buffer.alloc(32), { mode: 0o600 });
    const socketPath = join(broker.directory, 'broker.sock');
    const reopen = serveBroker({ stateDirectory: broker.stateDirectory, socketPath });
    await expect(reopen).rejects.toThrow('another root key');
    writeFileSync(path, kept, { mode: 0o600 });
    await broker.restart();
    expect((await broker.client.call({ op: 'status' })).machines).toBe(1);
  });
});
