// Who gets the key of a snapshot, and which state of a machine is the newest.
import { randomBytes } from 'node:crypto';
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

type Asking = Partial<Pick<SnapshotKeyRequest, 'machine' | 'use' | 'host' | 'clone'>> & {
  readonly snapshot: SnapshotId;
};

interface Asked {
  readonly request: SnapshotKeyRequest;
  readonly recipient: Recipient;
}

async function ask({ snapshot, ...changes }: Asking, key?: Signer): Promise<Asked> {
  const signer = key ?? (await broker.hostKey);
  const recipient = newRecipient();
  const [publicKey, host] = [base64(recipient.publicKey), base64(signer.publicKey)];
  const { use = 'restore', machine: of = machine.id, clone } = changes;
  const unsigned = { snapshot, machine: of, use, publicKey, host: changes.host ?? host, ...(clone && { clone }) };
  return { request: { ...unsigned, signature: base64(await signer.sign(keyRequestMessage(unsigned))) }, recipient };
}

/** One that is whole. */
async function take(
  parent?: SnapshotId,
  of: TestMachine = machine,
): Promise<{ snapshot: SnapshotId; sequence: number; key: string }> {
  const snapshot = newSnapshotId();
  const { request, recipient } = await ask({ snapshot, use: 'take', machine: of.id });
  const { sealed, sequence } = await broker.client.call({ op: 'begin-snapshot', request });
  await broker.client.call({
    op: 'finish-snapshot',
    snapshot,
    root: ROOT,
    ...(parent === undefined ? {} : { parent }),
  });
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
    const asked = { op: 'read-erasure', kind: 'machine', subject: machine.id } as const;
    const { erasure } = await broker.client.call(asked);
    expect(erasure).toMatchObject({ snapshots: [{ sequence: 1, root: ROOT }], searched: { copies: 0 } });
  });

  test('that another continues are opened below it without going back, and stay for as long as it is there', async () => {
    const one = await take();
    const two = await take(one.snapshot);
    expect(await codeOf(release(await ask(one)))).toBe('conflict');
    expect(await release(await ask({ snapshot: one.snapshot, use: 'base' }))).toBe(one.key);
    expect(await codeOf(release(await ask({ snapshot: two.snapshot, use: 'base' })))).toBe('conflict');
    // The base's key was given out for that alone: the newest is still to be put back once.
    expect(await release(await ask(two))).toBe(two.key);
    const forget = (snapshot: SnapshotId): Promise<unknown> => broker.client.call({ op: 'forget-snapshot', snapshot });
    expect(await codeOf(forget(one.snapshot))).toBe('conflict');
    await forget(two.snapshot);
    await forget(one.snapshot);
    await forget(one.snapshot);
    expect(await codeOf(release(await ask({ snapshot: one.snapshot, use: 'base' })))).toBe('not-found');
  });

  test('continue a whole one of their machine that is older, and nothing else', async () => {
    const one = await take();
    const unfinished = newSnapshotId();
    await broker.client.call({
      op: 'begin-snapshot',
      request: (await ask({ snapshot: unfinished, use: 'take' })).request,
    });
    const other = await broker.addMachine();
    const foreign = newSnapshotId();
    const { request } = await ask({ snapshot: foreign, machine: other.id, use: 'take' });
    await broker.client.call({ op: 'begin-snapshot', request });
    await broker.client.call({ op: 'finish-snapshot', snapshot: foreign, root: ROOT });
    expect(await codeOf(take(foreign))).toBe('conflict');
    expect(await codeOf(take(unfinished))).toBe('conflict');
    expect(await codeOf(take(newSnapshotId()))).toBe('not-found');
    expect((await take(one.snapshot)).sequence).toBeGreaterThan(one.sequence);
  });
});

describe('clones', () => {
  let original: TestMachine;
  let clone: TestMachine;
  beforeEach(async () => {
    original = await broker.addMachine('authenticated', 'allow');
    clone = await broker.addMachine();
  });

  type Unlocked = Awaited<ReturnType<Awaited<ReturnType<BrokerInstance['boot']>>['guest']['unlock']>>;
  const unlock = async (of: TestMachine): Promise<Unlocked> =>
    (await broker.boot(of)).guest.unlock(await broker.brokerKey());

  /** The key of the snapshot. */
  async function copy(
    snapshot: SnapshotId,
    { from = original, to = clone }: { from?: TestMachine; to?: TestMachine } = {},
    use: 'clone' | 'live' = 'clone',
  ): Promise<string> {
    const { request, recipient } = await ask({ snapshot, machine: from.id, use, clone: to.id });
    const op = use === 'clone' ? 'clone-machine' : 'clone-live';
    const { sealed } = await broker.client.call({ op, request });
    return open(sealed, { request, recipient });
  }

  const hold = async (snapshot: SnapshotId, from: TestMachine = original): Promise<string> => {
    const { request, recipient } = await ask({ snapshot, machine: from.id, use: 'template' });
    const { sealed } = await broker.client.call({ op: 'hold-template', request });
    return open(sealed, { request, recipient });
  };

  test('that go on from memory are held by a use of its own, and told one by one; they boot as any clone', async () => {
    const { key } = await unlock(original);
    const { snapshot, key: snapshotKey } = await take(undefined, original);
    expect(await hold(snapshot)).toBe(snapshotKey);
    expect(await hold(snapshot)).toBe(snapshotKey);
    expect(await copy(snapshot, {}, 'live')).toBe(snapshotKey);
    expect(await copy(snapshot, {}, 'live')).toBe(snapshotKey); // a daemon that has died repeats it
    const log = readFileSync(join(broker.stateDirectory, 'audit.log'), 'utf8');
    expect(log).toContain(`"what":"hold-template","snapshot":"${snapshot}","machine":"${original.id}","outcome":"ok"`);
    expect(log).toContain(
      `"what":"clone-live","snapshot":"${snapshot}","machine":"${original.id}","clone":"${clone.id}","outcome":"ok"`,
    );
    // Nothing was gone back to.
    expect(await release(await ask({ snapshot, machine: original.id }))).toBe(snapshotKey);
    expect(await codeOf(broker.client.call({ op: 'forget-machine', machine: original.id }))).toBe('conflict');
    const first = await unlock(clone);
    expect(first).toMatchObject({ mode: 'rotate-authenticated', key });
    expect(await unlock(clone)).toMatchObject({ mode: 'open-authenticated', key: first.next });
    expect(await codeOf(copy(snapshot, {}, 'live'))).toBe('conflict');
  });

  test('that go on from memory are refused as those are that boot', async () => {
    await unlock(machine);
    await unlock(original);
    const { snapshot: denied } = await take(undefined, machine);
    expect(await codeOf(hold(denied, machine))).toBe('conflict');
    expect(await codeOf(copy(denied, { from: machine }, 'live'))).toBe('conflict');
    const { snapshot } = await take(undefined, original);
    expect(await codeOf(copy(snapshot, { to: original }, 'live'))).toBe('conflict');
    // What the host has signed for one use is none for another.
    const ops = { clone: 'clone-machine', live: 'clone-live', template: 'hold-template' } as const;
    for (const [use, op] of Object.entries(ops)) {
      for (const signed of ['clone', 'live', 'template', 'restore', 'base'] as const) {
        if (signed === use) continue;
        const { request } = await ask({ snapshot, machine: original.id, use: signed, clone: clone.id });
        expect(await codeOf(broker.client.call({ op, request })), `${signed} for ${op}`).toBe('unauthorized');
      }
    }
    for (const name of ['alice', 'bob']) {
      await broker.client.call({ op: 'change-person', name, key: randomBytes(32).toString('hex') });
    }
    await broker.client.call({ op: 'require-approval', machine: original.id, required: true });
    await expect(hold(snapshot)).rejects.toThrow('need the word of two people');
    await expect(copy(snapshot, {}, 'live')).rejects.toThrow('need the word of two people');
  });

  test('open their disk with the key of the original once, and give it their own', async () => {
    const { key } = await unlock(original);
    const { snapshot, key: snapshotKey } = await take(undefined, original);
    expect(await copy(snapshot)).toBe(snapshotKey);
    expect(await copy(snapshot)).toBe(snapshotKey); // a daemon that has died repeats it
    const first = await unlock(clone);
    expect(first.mode).toBe('rotate-authenticated');
    expect(first.key).toEqual(key);
    const second = await unlock(clone);
    expect(second).toMatchObject({ mode: 'open-authenticated', key: first.next });
    expect(second.key).not.toEqual(key);
    expect((await unlock(original)).key).toEqual(key);
    const log = readFileSync(join(broker.stateDirectory, 'audit.log'), 'utf8');
    expect(log).toContain(
      `"what":"clone-machine","snapshot":"${snapshot}","machine":"${original.id}","clone":"${clone.id}"`,
    );
  });

  test('are made of no machine that was not made for it, and of no other’s snapshot', async () => {
    await unlock(machine);
    const { snapshot } = await take(undefined, machine);
    expect(await codeOf(copy(snapshot, { from: machine }))).toBe('conflict');
    expect(await codeOf(copy(snapshot))).toBe('unauthorized');
    // As it came out of a request that the host has signed for another use, or another clone.
    await unlock(original);
    const { snapshot: allowed } = await take(undefined, original);
    const { request } = await ask({ snapshot: allowed, machine: original.id, use: 'restore' });
    expect(await codeOf(broker.client.call({ op: 'clone-machine', request }))).toBe('unauthorized');
    const { request: signed } = await ask({ snapshot: allowed, machine: original.id, use: 'clone', clone: clone.id });
    const other = await broker.addMachine();
    const turned = { ...signed, clone: other.id };
    expect(await codeOf(broker.client.call({ op: 'clone-machine', request: turned }))).toBe('unauthorized');
  });

  test('are made of no machine of which no copy leaves by the word of one', async () => {
    await unlock(original);
    const { snapshot } = await take(undefined, original);
    for (const name of ['alice', 'bob']) {
      await broker.client.call({ op: 'change-person', name, key: randomBytes(32).toString('hex') });
    }
    await broker.client.call({ op: 'require-approval', machine: original.id, required: true });
    await expect(copy(snapshot)).rejects.toThrow('need the word of two people');
  });

  test('are machines that were never started: no disk loses its key', async () => {
    await unlock(original);
    const [{ snapshot }, later] = [await take(undefined, original), await take(undefined, original)];
    await unlock(clone);
    expect(await codeOf(copy(snapshot))).toBe('conflict');
    expect(await codeOf(copy(snapshot, { to: original }))).toBe('conflict');
    const fresh = await broker.addMachine();
    await copy(snapshot, { to: fresh });
    expect(await codeOf(copy(later.snapshot, { to: fresh }))).toBe('conflict');
    await unlock(fresh);
    expect(await codeOf(copy(snapshot, { to: fresh }))).toBe('conflict');
  });

  test('keep a key from being called destroyed for as long as they have it', async () => {
    await unlock(original);
    const { snapshot } = await take(undefined, original);
    await copy(snapshot);
    expect(await codeOf(broker.client.call({ op: 'check-forget', machine: original.id }))).toBe('conflict');
    expect(await codeOf(broker.client.call({ op: 'forget-machine', machine: original.id }))).toBe('conflict');
    expect(await codeOf(broker.client.call({ op: 'rotate-key', machine: original.id }))).toBe('conflict');
    await unlock(clone);
    await broker.client.call({ op: 'rotate-key', machine: original.id });
    const { snapshot: another } = await take(undefined, original);
    const fresh = await broker.addMachine();
    expect(await codeOf(copy(another, { to: fresh }))).toBe('conflict'); // its key goes with its next start
    await broker.client.call({ op: 'check-forget', machine: original.id });
    await broker.client.call({ op: 'forget-machine', machine: original.id });
    await broker.client.call({ op: 'forget-machine', machine: clone.id });
    const { erasure } = await broker.client.call({ op: 'read-erasure', kind: 'machine', subject: clone.id });
    // The first was never its own.
    expect(erasure).toMatchObject({ keys: [{ version: 1, how: 'erased' }] });
  });

  test('that were never started leave nothing that says of the original’s key that it is gone', async () => {
    await unlock(original);
    const { snapshot } = await take(undefined, original);
    await copy(snapshot);
    await broker.client.call({ op: 'forget-machine', machine: clone.id });
    const { erasure } = await broker.client.call({ op: 'read-erasure', kind: 'machine', subject: clone.id });
    expect(erasure).toMatchObject({ keys: [{ version: 1, how: 'erased' }] });
  });
});
