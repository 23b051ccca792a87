// A disk gets another key: what each release carries, which report counts, and what is left of the old key in the store.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { toHex } from '@ringwall/bytes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BrokerInstance, codeOf, type TestMachine } from './testing/instance.ts';

let broker: BrokerInstance;
let machine: TestMachine;
let key: string;

beforeEach(async () => {
  broker = await BrokerInstance.start();
  machine = await broker.addMachine();
  key = toHex((await unlock()).key);
});
afterEach(() => broker[Symbol.asyncDispose]());

const rotate = (): Promise<{ version: number }> => broker.client.call({ op: 'rotate-key', machine: machine.id });

async function unlock(): Promise<{ mode: string; key: Uint8Array; next: Uint8Array | undefined }> {
  const { guest } = await broker.boot(machine);
  return guest.unlock(await broker.brokerKey());
}

describe('rotate-key', () => {
  test('sends both keys with the next release, and the new one alone once the guest says that it is done', async () => {
    expect(await rotate()).toEqual({ version: 2 });
    // Asked for again, it is the same key that comes.
    expect(await rotate()).toEqual({ version: 2 });
    const both = await unlock();
    expect(both.mode).toBe('rotate');
    expect(toHex(both.key)).toBe(key);
    const after = await unlock();
    expect(after.mode).toBe('open');
    expect(toHex(after.key)).toBe(toHex(both.next ?? new Uint8Array()));
    expect(toHex(after.key)).not.toBe(key);
    expect(after.next).toBeUndefined();
    expect(await rotate()).toEqual({ version: 3 });
  });

  test('sends the same two keys again where the report was lost, also after a restart of the broker', async () => {
    await rotate();
    const { guest } = await broker.boot(machine);
    const brokerKey = await broker.brokerKey();
    const first = await guest.open(await guest.send(await guest.evidence(await guest.hello())), brokerKey);
    guest.lines.close();
    await broker.restart();
    const again = await unlock();
    expect(again.mode).toBe('rotate');
    expect([toHex(again.key), toHex(again.next ?? again.key)]).toEqual([key, toHex(first.next ?? first.key)]);
    expect((await unlock()).mode).toBe('open');
  });

  test.each(['opened', 'formatted'] as const)('keeps both keys where the guest says %s', async (how) => {
    await rotate();
    const { boot, guest } = await broker.boot(machine);
    await guest.open(await guest.send(await guest.evidence(await guest.hello())), await broker.brokerKey());
    expect((await guest.reportUnlocked(how, boot)).lines[0]).toBe('refused');
    expect((await broker.verdict(machine, boot)).state).toBe('failed');
    const { mode, key: current } = await unlock();
    expect([mode, toHex(current)]).toEqual(['rotate', key]);
  });

  test('takes no word of a rotation that it did not ask for', async () => {
    const { boot, guest } = await broker.boot(machine);
    await guest.open(await guest.send(await guest.evidence(await guest.hello())), await broker.brokerKey());
    const { reasons } = await guest.reportUnlocked('rotated', boot);
    expect(reasons).toEqual(['the guest says that it gave its disk a key that it was not sent']);
  });

  test('leaves nothing of the old wrapped key in any file, and what names the key', async () => {
    const wrapped = wrappedKey();
    expect(filesWith(wrapped)).not.toEqual([]);
    await rotate();
    await unlock();
    expect(filesWith(wrapped)).toEqual([]);
    await broker.stop();
    {
      using db = new DatabaseSync(join(broker.stateDirectory, 'broker.db'), { readOnly: true });
      expect(db.prepare('SELECT machine, version FROM ended_key').all()).toEqual([{ machine: machine.id, version: 1 }]);
    }
    await broker.restart();
  });

  test('is refused for a machine that nobody knows, and for a disk that was never unlocked', async () => {
    const fresh = await broker.addMachine();
    expect(await codeOf(broker.client.call({ op: 'rotate-key', machine: fresh.id }))).toBe('conflict');
    await broker.client.call({ op: 'forget-machine', machine: fresh.id });
    expect(await codeOf(broker.client.call({ op: 'rotate-key', machine: fresh.id }))).toBe('not-found');
  });
});

test('a disk that is to be authenticated is opened as nothing else', async () => {
  const tagged = await broker.addMachine('authenticated');
  for (const mode of ['format-authenticated', 'open-authenticated']) {
    const { guest } = await broker.boot(tagged);
    expect((await guest.unlock(await broker.brokerKey())).mode).toBe(mode);
  }
  await broker.client.call({ op: 'rotate-key', machine: tagged.id });
  const { guest } = await broker.boot(tagged);
  expect((await guest.unlock(await broker.brokerKey())).mode).toBe('rotate-authenticated');
});

/** The first wrapped key in the store; there is one machine. */
function wrappedKey(): Buffer {
  for (const name of readdirSync(broker.stateDirectory)) {
    if (!name.startsWith('broker.db')) continue;
    const bytes = readFileSync(join(broker.stateDirectory, name));
    const at = bytes.indexOf(Buffer.from('RWK\u0001', 'latin1'));
    // Nonce, ciphertext and tag of 32 bytes, without what every wrapped key begins with.
    if (at >= 0) return bytes.subarray(at + 4, at + 4 + 12 + 32 + 16);
  }
  throw new Error('no wrapped key in the store');
}

function filesWith(bytes: Buffer): string[] {
  return readdirSync(broker.stateDirectory).filter((name) => {
    return readFileSync(join(broker.stateDirectory, name)).includes(bytes);
  });
}
