// The word of two people: what an export needs where a machine asks for it, and how that cannot be got around.
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { newSnapshotId, type SnapshotId } from '@ringwall/api';
import { approvalIdSchema, type Approval, type ApprovalId } from '@ringwall/api/approvals';
import { makeKeyPair, readObjectHead, sealStream } from '@ringwall/seal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyRequestMessage, newRecipient } from '../keys/index.ts';
import { BrokerInstance, codeOf, type TestMachine } from './testing/instance.ts';

const SPEC = { image: 'hello', cpus: 1, memoryMiB: 256, diskMiB: 64, watch: 'enforce' } as const;
const DAY_MS = 24 * 60 * 60 * 1000;

interface Person {
  readonly name: string;
  readonly key: string;
  readonly privateKey: KeyObject;
}

interface Taken {
  readonly snapshot: SnapshotId;
  readonly head: string;
}

let nowMs: number;
let broker: BrokerInstance;
let machine: TestMachine;
let alice: Person | undefined;
let bob: Person | undefined;
let carol: Person | undefined;
let taken: Taken;
let to: string;
beforeEach(async () => {
  nowMs = Date.now();
  broker = await BrokerInstance.start({ now: () => new Date(nowMs) });
  machine = await broker.addMachine();
  await (await broker.boot(machine)).guest.unlock(await broker.brokerKey());
  [alice, bob, carol] = ['alice', 'bob', 'carol'].map(newPerson);
  await enrol(alice);
  await enrol(bob);
  taken = await take();
  to = Buffer.from((await makeKeyPair()).publicKey).toString('hex');
});
afterEach(() => broker[Symbol.asyncDispose]());

function newPerson(name: string): Person {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  return { name, key: Buffer.from(x, 'base64url').toString('hex'), privateKey };
}

function enrol(person: Person | undefined): Promise<{ waits?: Approval | undefined }> {
  const { name = '', key = '' } = person ?? {};
  return broker.client.call({ op: 'change-person', name, key });
}

function require(required: boolean): Promise<{ waits?: Approval | undefined }> {
  return broker.client.call({ op: 'require-approval', machine: machine.id, required });
}

async function signed(
  approval: ApprovalId | undefined,
  person: Person | undefined,
  statement?: string,
): Promise<Approval> {
  if (approval === undefined || person === undefined) throw new Error('nothing to sign');
  const asked = await broker.client.call({ op: 'read-approval', approval });
  const signature = sign(null, Buffer.from(statement ?? asked.statement), person.privateKey).toString('hex');
  return broker.client.call({ op: 'sign-approval', approval, key: person.key, signature });
}

async function take(): Promise<Taken> {
  const snapshot = newSnapshotId();
  const signer = await broker.hostKey;
  const recipient = newRecipient();
  const [publicKey, host] = [recipient.publicKey, signer.publicKey].map((key) => Buffer.from(key).toString('base64'));
  const unsigned = {
    snapshot,
    machine: machine.id,
    use: 'take' as const,
    publicKey: publicKey ?? '',
    host: host ?? '',
  };
  const signature = Buffer.from(await signer.sign(keyRequestMessage(unsigned))).toString('base64');
  const request = { ...unsigned, signature };
  const { sealed } = await broker.client.call({ op: 'begin-snapshot', request });
  using key = recipient.open(Buffer.from(sealed, 'base64'), request);
  const sealing = sealStream([Buffer.from('state')], { recipients: [{ kind: 'key', key: key.expose() }] });
  const pieces: Uint8Array[] = [];
  for (;;) {
    const next = await sealing.next();
    if (next.done !== true) {
      pieces.push(next.value);
      continue;
    }
    await broker.client.call({ op: 'finish-snapshot', snapshot, root: next.value.root });
    return { snapshot, head: Buffer.from((await readObjectHead(pieces)).bytes).toString('base64') };
  }
}

function leave(changes: { recipient?: string; mode?: 'move' | 'backup'; taken?: Taken } = {}): Promise<unknown> {
  const { recipient = to, mode = 'backup', taken: of = taken } = changes;
  return broker.client.call({
    ...{ op: 'export-snapshot', ...of, machine: machine.id, bytes: 4096, spec: SPEC, mode, recipient },
    takenAt: '2026-11-21T12:00:00.000Z',
  });
}

/** The request that an export waits for. */
async function waiting(attempt: Promise<unknown>): Promise<ApprovalId> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const [id] = /apr_[a-z2-7]{20}/.exec(error instanceof Error ? error.message : '') ?? [];
  return approvalIdSchema.parse(id);
}

describe('an export of a machine that asks for approval', () => {
  test('goes through once two people have signed its very words, and once', async () => {
    await leave();
    await require(true);
    const id = await waiting(leave());
    expect(await waiting(leave())).toBe(id);
    const { statement } = await broker.client.call({ op: 'read-approval', approval: id });
    for (const word of [taken.snapshot, machine.id, to, 'as a copy']) expect(statement).toContain(word);
    expect(await signed(id, alice)).toMatchObject({ state: 'asked', signedBy: ['alice'] });
    expect(await waiting(leave())).toBe(id);
    expect(await signed(id, bob)).toMatchObject({ state: 'approved', signedBy: ['alice', 'bob'] });
    await leave();
    expect(await waiting(leave())).not.toBe(id);
    expect(await codeOf(signed(id, bob))).toBe('conflict');
    const log = readFileSync(join(broker.stateDirectory, 'audit.log'), 'utf8');
    expect(log).toContain(`"approval":"${id}","person":"${alice?.key ?? ''}","outcome":"ok"`);
  });

  test('is not approved by one person, by a stranger, or by a signature for other words', async () => {
    await require(true);
    const id = await waiting(leave());
    expect(await codeOf(signed(id, carol))).toBe('unauthorized');
    expect(await codeOf(signed(id, alice, 'other words'))).toBe('unauthorized');
    await signed(id, alice);
    expect(await codeOf(signed(id, alice))).toBe('conflict');
    expect(await codeOf(enrol(alice === undefined ? undefined : { ...alice, name: 'alice-again' }))).toBe('conflict');
    expect(await codeOf(leave())).toBe('unauthorized');
  });

  test('is approved for this recipient, this way of leaving, and this object alone', async () => {
    await require(true);
    const id = await waiting(leave());
    await signed(id, alice);
    await signed(id, bob);
    expect(await codeOf(leave({ recipient: 'ab'.repeat(32) }))).toBe('unauthorized');
    expect(await codeOf(leave({ mode: 'move' }))).toBe('unauthorized');
    expect(await codeOf(leave({ taken: await take() }))).toBe('unauthorized');
    await leave();
  });

  test('is approved for a day', async () => {
    await require(true);
    const id = await waiting(leave());
    await signed(id, alice);
    nowMs += DAY_MS;
    expect(await codeOf(signed(id, bob))).toBe('conflict');
    expect(await waiting(leave())).not.toBe(id);
  });

  test('that fails for another reason uses no word up', async () => {
    await require(true);
    const id = await waiting(leave());
    await signed(id, alice);
    await signed(id, bob);
    expect(await codeOf(leave({ taken: { ...taken, head: (await take()).head } }))).toBe('proof-invalid');
    await leave();
  });
});

describe('the rule itself', () => {
  test('needs two people to be given up, who sign that', async () => {
    await require(true);
    const { waits } = await require(false);
    expect(waits?.statement).toContain('without approval');
    expect(await codeOf(leave())).toBe('unauthorized');
    await signed(waits?.id, bob);
    expect(await codeOf(leave())).toBe('unauthorized');
    expect(await signed(waits?.id, alice)).toMatchObject({ state: 'used' });
    await leave();
  });

  test('lets nobody in, and nobody out, by the word of one', async () => {
    await require(true);
    const { waits } = await enrol(carol);
    await signed(waits?.id, alice);
    expect(await codeOf(signed(await waiting(leave()), carol))).toBe('unauthorized');
    await signed(waits?.id, bob);
    await signed(await waiting(leave()), carol);
    const struck = await broker.client.call({ op: 'change-person', name: 'carol', key: null });
    await signed(struck.waits?.id, alice);
    await signed(struck.waits?.id, bob);
    const id = await waiting(leave());
    expect(await signed(id, alice)).toMatchObject({ state: 'asked', signedBy: ['alice'] });
    expect(await codeOf(broker.client.call({ op: 'change-person', name: 'bob', key: null }))).toBe('conflict');
  });

  test('is not raised before two people could approve, and outlives a restart', async () => {
    await broker.client.call({ op: 'change-person', name: 'bob', key: null });
    expect(await codeOf(require(true))).toBe('conflict');
    await enrol(carol);
    await require(true);
    await broker.restart();
    expect(await codeOf(leave())).toBe('unauthorized');
    const listed = await broker.client.call({ op: 'list-approvals' });
    expect(listed).toMatchObject({ machines: [machine.id], requests: [{ state: 'new' }] });
    expect(listed.people.map(({ name }) => name)).toEqual(['alice', 'carol']);
  });
});
