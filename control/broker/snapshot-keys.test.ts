// Who gets the key of a snapshot, and which state of a machine is the newest.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { newSnapshotId, type SnapshotId } from '@ringwall/api';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyRequestMessage, newRecipient, type Recipient } from '../keys/index.ts';
import type { Signer } from '@ringwall/evidence';
import { BrokerInstance, codeOf, type TestMachine } from './testing/instance.ts';
import { makeReferenceKey } from './testing/reference.ts';

const ROOT = '5a'.repeat(32);

let broker: BrokerInstance;
let machine: TestMachine;
beforeEach(async () => {
  broker = await BrokerInstance.start();
  machine = await broker.addMachine();
});
afterEach(() => broker[Symbol.asyncDispose]());

type Asking = Partial<Pick<SnapshotKeyRequest, 'machine' | 'use' | 'host'>> & { readonly snapshot: SnapshotId };

interface Asked {
  readonly request: SnapshotKeyRequest;
  readonly recipient: Recipient;
}

async function ask({ snapshot, ...changes }: Asking, key?: Signer): Promise<Asked> {
  const signer = key ?? (await broker.hostKey);
  const recipient = newRecipient();
  const [publicKey, host] = [base64(recipient.publicKey), base64(signer.publicKey)];
  const { use = 'restore', machine: of = machine.id } = changes;
  const unsigned = { snapshot, machine: of, use, publicKey, host: changes.host ?? host };
  return { request: { ...unsigned, signature: base64(await signer.sign(keyRequestMessage(unsigned))) }, recipient };
}

/** One that is whole. */
async function take(): Promise<{ snapshot: SnapshotId; sequence: number; key: string }> {
  const snapshot = newSnapshotId();
  const { request, recipient } = await ask({ snapshot, use: 'take' });
  const { sealed, sequence } = await broker.client.call({ op: 'begin-snapshot', request });
  await broker.client.call({ op: 'finish-snapshot', snapshot, root: ROOT });
  return { snapshot, sequence, key: open(sealed, { request, recipient }) };
}

async function release({ request, recipient }: Asked, rewind = false): Promise<string> {
  const { sealed, root } = await broker.client.call({ op: 'release-snapshot-key', request, rewind });
  expect(root).toBe(ROOT);
  return open(sealed, { request, recipient });
}

function open(sealed: string, { request, recipient }: Asked): string {
  using key = recipient.open(Buffer.from(sealed, 'base64'), request);
  return Buffer.from(key.expose()).toString('hex');
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

describe('snapshots', () => {
  test('are numbered for each machine, have a key each, and are given back to the host that took them', async () => {
    const [first, second] = [await take(), await take()];
    expect([first.sequence, second.sequence]).toEqual([1, 2]);
    expect(first.key).not.toBe(second.key);
    expect(await release(await ask(second))).toBe(second.key);
    expect(readFileSync(join(broker.stateDirectory, 'broker.db')).includes(Buffer.from(first.key, 'hex'))).toBe(false);
  });

  test('that are older than the newest, or were used, need a word that is written down', async () => {
    const [first, second] = [await take(), await take()];
    expect(await codeOf(release(await ask(first)))).toBe('conflict');
    expect(await release(await ask(second))).toBe(second.key);
    expect(await codeOf(release(await ask(second)))).toBe('conflict');
    expect(await release(await ask(first), true)).toBe(first.key);
    expect(await release(await ask(second), true)).toBe(second.key);
    const log = readFileSync(join(broker.stateDirectory, 'audit.log'), 'utf8');
    expect(log).toContain(`"snapshot":"${first.snapshot}","machine":"${machine.id}","rewind":true,"outcome":"ok"`);
  });

  test('that are newer are not forgotten with the snapshot', async () => {
    const [first, second] = [await take(), await take()];
    await broker.client.call({ op: 'forget-snapshot', snapshot: second.snapshot });
    expect(await codeOf(release(await ask(second)))).toBe('not-found');
    expect(await codeOf(release(await ask(first)))).toBe('conflict');
    expect((await take()).sequence).toBe(3);
  });

  test('are given to no other host, for no other machine, and to nobody without a signature for this', async () => {
    const { snapshot } = await take();
    const stranger = await makeReferenceKey();
    expect(await codeOf(release(await ask({ snapshot }, stranger)))).toBe('unauthorized');
    const host = base64((await broker.hostKey).publicKey);
    expect(await codeOf(release(await ask({ snapshot, host }, stranger)))).toBe('unauthorized');
    expect(await codeOf(release(await ask({ snapshot, use: 'take' })))).toBe('unauthorized');
    const other = await broker.addMachine();
    expect(await codeOf(release(await ask({ snapshot, machine: other.id })))).toBe('unauthorized');
    const { request } = await ask({ snapshot, use: 'take' });
    expect(await codeOf(broker.client.call({ op: 'begin-snapshot', request }))).toBe('conflict');
  });

  test('that were never whole open nothing, and are no newest state', async () => {
    const first = await take();
    const snapshot = newSnapshotId();
    const { request } = await ask({ snapshot, use: 'take' });
    await broker.client.call({ op: 'begin-snapshot', request });
    expect(await codeOf(release(await ask({ snapshot }), true))).toBe('conflict');
    expect(await release(await ask(first))).toBe(first.key);
    expect(
      await codeOf(broker.client.call({ op: 'finish-snapshot', snapshot: first.snapshot, root: '00'.repeat(32) })),
    ).toBe('conflict');
  });

  test('open with the key of the disk that was then', async () => {
    await (await broker.boot(machine)).guest.unlock(await broker.brokerKey());
    const { snapshot } = await take();
    await broker.client.call({ op: 'rotate-key', machine: machine.id });
    await (await broker.boot(machine)).guest.unlock(await broker.brokerKey());
    expect(await codeOf(release(await ask({ snapshot }), true))).toBe('conflict');
  });

  test('take the record of the TPM with them: what came after is no rollback when a person has put it back', async () => {
    const boot = async (): Promise<string> =>
      (await (await broker.boot(machine)).guest.unlock(await broker.brokerKey())).mode;
    await boot();
    const then = { ...machine.tpm.clockInfo };
    const taken = await take();
    for (let later = 0; later < 3; later += 1) await boot();
    machine.tpm.clockInfo = then;
    const confirm = (): Promise<unknown> => broker.client.call({ op: 'confirm-restore', snapshot: taken.snapshot });
    expect(await codeOf(confirm())).toBe('conflict');
    await release(await ask(taken));
    await confirm();
    expect(await boot()).toBe('open');
    await confirm();
  });

  test('leave the record of the TPM as it is until the machine is back', async () => {
    const boot = async (): Promise<string> =>
      (await (await broker.boot(machine)).guest.unlock(await broker.brokerKey())).mode;
    await boot();
    const then = { ...machine.tpm.clockInfo };
    const taken = await take();
    await boot();
    await release(await ask(taken));
    machine.tpm.clockInfo = then;
    await expect(boot()).rejects.toThrow(/rolled back/);
  });

  test('outlive another root key, and go with their machine', async () => {
    const taken = await take();
    await broker.client.call({ op: 'rotate-root-key' });
    await broker.restart();
    expect(await release(await ask(taken))).toBe(taken.key);
    await broker.client.call({ op: 'forget-machine', machine: machine.id });
    expect(await codeOf(release(await ask(taken), true))).toBe('not-found');
  });
});
