// Snapshots that leave a broker and come to another: who can open them, what comes with them, and what may live twice.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  machineIdSchema,
  newBootId,
  newDiskId,
  newSnapshotId,
  type DiskId,
  type MachineId,
  type SnapshotId,
} from '@ringwall/api';
import type { DiskKeyRequest } from '@ringwall/api/disks';
import { snapshotIdSchema, type SnapshotKeyRequest } from '@ringwall/api/snapshots';
import { fromHex, toHex } from '@ringwall/bytes';
import {
  encodeExport,
  exportContext,
  parseExport,
  parseHostRecipient,
  signExport,
  type SignedExport,
  type Signer,
} from '@ringwall/evidence';
import { makeKeyPair, openSealed, openWith, readObjectHead, sealStream, sealTo, type Opener } from '@ringwall/seal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyRequestMessage, newRecipient, type Recipient } from '../keys/index.ts';
import { DISK_KEY_INFO } from './snapshot-export.ts';
import { fingerprintOf } from './snapshot-import.ts';
import { makeReferenceKey } from './testing/reference.ts';
import { BrokerInstance, codeOf, type TestMachine } from './testing/instance.ts';

const CONTENTS = Buffer.alloc(10_000, 'the state of a machine, ');
/** As codeOf says it. */
const DONE = 'no error';
const SPEC = { image: 'hello', cpus: 1, memoryMiB: 256, diskMiB: 64, watch: 'enforce' } as const;

const SAID_OF_DISKS = { sizeBytes: 4096, digest: 'aa'.repeat(32), source: { format: 'raw', name: 'data.raw' } };

let home: BrokerInstance;
let away: BrokerInstance;
let machine: TestMachine;
beforeEach(async () => {
  [home, away] = await Promise.all([BrokerInstance.start(), BrokerInstance.start()]);
  machine = await home.addMachine();
  await (await home.boot(machine)).guest.unlock(await home.brokerKey());
});
afterEach(async () => {
  await home[Symbol.asyncDispose]();
  await away[Symbol.asyncDispose]();
});

interface Taken {
  readonly snapshot: SnapshotId;
  readonly sequence: number;
  /** As it lies on the host. */
  readonly object: Buffer;
  /** Its own name for itself, and the root of its tree. */
  readonly named: string;
  readonly root: string;
}

interface Exported {
  readonly ticket: string;
  readonly head: string;
  readonly bases?: readonly string[] | undefined;
}

interface ImportOptions {
  readonly rewind?: boolean;
  readonly accept?: string;
  readonly as?: MachineId;
  /** That has received it; else the one that all machines are on. */
  readonly host?: Signer;
}

type Base = SignedExport['bases'][number];

async function ask(
  broker: BrokerInstance,
  snapshot: SnapshotId,
  use: SnapshotKeyRequest['use'],
  of: MachineId = machine.id,
  host?: Signer,
): Promise<{ request: SnapshotKeyRequest; recipient: Recipient }> {
  const signer = host ?? (await broker.hostKey);
  const recipient = newRecipient();
  const unsigned = {
    ...{ snapshot, machine: of, use },
    publicKey: base64(recipient.publicKey),
    host: base64(signer.publicKey),
  };
  return { request: { ...unsigned, signature: base64(await signer.sign(keyRequestMessage(unsigned))) }, recipient };
}

async function take(broker: BrokerInstance = home, parent?: Taken): Promise<Taken> {
  const snapshot = newSnapshotId();
  const { request, recipient } = await ask(broker, snapshot, 'take');
  const { sealed, sequence } = await broker.client.call({ op: 'begin-snapshot', request });
  using key = recipient.open(Buffer.from(sealed, 'base64'), request);
  const sealing = sealStream([CONTENTS], {
    recipients: [{ kind: 'key', key: key.expose() }],
    about: { kind: 'machine', machine: machine.id, snapshot, sequence },
    bytes: CONTENTS.length,
    ...(parent === undefined ? {} : { parent: { object: parent.named, root: parent.root } }),
  });
  const pieces: Uint8Array[] = [];
  for (;;) {
    const next = await sealing.next();
    if (next.done === true) {
      const { root, object: named } = next.value;
      const over = parent === undefined ? {} : { parent: parent.snapshot };
      await broker.client.call({ op: 'finish-snapshot', snapshot, root, ...over });
      return { snapshot, sequence, object: Buffer.concat(pieces), named, root };
    }
    pieces.push(next.value);
  }
}

async function headOf(object: Uint8Array): Promise<string> {
  return base64((await readObjectHead([object])).bytes);
}

async function recipientOf(broker: BrokerInstance): Promise<string> {
  const { file } = await broker.client.call({ op: 'read-recipient' });
  return toHex(parseHostRecipient(file).recipient);
}

interface ExportOptions {
  readonly to?: string;
  readonly mode?: 'move' | 'backup';
  readonly from?: BrokerInstance;
  /** What it continues, from the whole one on. */
  readonly below?: readonly Taken[];
  /** The word of a host for each imported disk. */
  readonly disks?: readonly DiskKeyRequest[];
}

async function exportIt(
  { snapshot, object }: Taken,
  { to, mode = 'move', from = home, below = [], disks = [] }: ExportOptions = {},
): Promise<Exported> {
  const takenAt = '2026-11-21T12:00:00.000Z';
  const bases = await Promise.all(
    below.map(async ({ snapshot: base, object: bytes }) => ({
      ...{ snapshot: base, head: await headOf(bytes), bytes: bytes.length, takenAt },
    })),
  );
  return from.client.call({
    op: 'export-snapshot',
    ...{ snapshot, machine: machine.id, head: await headOf(object), bytes: object.length, spec: SPEC, mode },
    ...(bases.length === 0 ? {} : { bases }),
    disks: disks.map((request, index) => ({ request, ...SAID_OF_DISKS, name: `data-${String(index)}` })),
    takenAt,
    recipient: to ?? (await recipientOf(away)),
  });
}

/** With the word of a person that the other broker is known. Answers the keys of the objects; undefined of one that is there already. */
async function begin(
  broker: BrokerInstance,
  { ticket, head, bases = [] }: Exported,
  options: ImportOptions = {},
): Promise<(Opener | undefined)[]> {
  const { bases: below, snapshot } = parseExport(ticket);
  const openers: (Opener | undefined)[] = [];
  for (const [index, base] of below.entries())
    openers.push(await beginOne(broker, { ticket, head: bases[index] ?? '' }, options, base));
  openers.push(await beginOne(broker, { ticket, head }, options, snapshot));
  return openers;
}

async function beginOne(
  broker: BrokerInstance,
  { ticket, head }: Exported,
  options: ImportOptions,
  snapshot: { readonly id: string },
): Promise<Opener | undefined> {
  const { broker: signed, machine: of } = parseExport(ticket);
  const { request, recipient } = await ask(
    broker,
    snapshotIdSchema.parse(snapshot.id),
    'import',
    options.as ?? machineIdSchema.parse(of.id),
    options.host,
  );
  const begun = await broker.client.call({
    ...({ op: 'begin-import', request, ticket, head, rewind: options.rewind ?? false } as const),
    accept: options.accept ?? fingerprintOf(signed.publicKey),
  });
  if ('here' in begun) return undefined;
  const opened = recipient.open(Buffer.from(begun.sealed, 'base64'), request);
  return { kind: 'key', key: new Uint8Array(opened.expose()) };
}

async function finish(broker: BrokerInstance, { ticket }: Exported): Promise<void> {
  await broker.client.call({ op: 'finish-import', ticket, machine: machine.id, name: 'web' });
}

async function bring(broker: BrokerInstance, exported: Exported, options: ImportOptions = {}): Promise<void> {
  await begin(broker, exported, options);
  await finish(broker, exported);
}

/** Puts the machine back to it. */
async function restore(broker: BrokerInstance, { snapshot }: Taken, rewind = false): Promise<string> {
  const { request } = await ask(broker, snapshot, 'restore');
  const code = await codeOf(broker.client.call({ op: 'release-snapshot-key', request, rewind }));
  if (code === DONE) await broker.client.call({ op: 'confirm-restore', snapshot });
  return code;
}

async function boots(broker: BrokerInstance): Promise<string> {
  return (await (await broker.boot(machine)).guest.unlock(await broker.brokerKey())).mode;
}

function resigned(exported: Exported, change: (ticket: SignedExport) => SignedExport): Exported {
  return { ...exported, ticket: encodeExport(change(parseExport(exported.ticket))) };
}

/** By somebody who has a key that signs, and none of the machine's, where no other is given. */
async function signedAnew(
  exported: Exported,
  change: (ticket: SignedExport) => SignedExport,
  diskKeyBytes: Uint8Array<ArrayBuffer> = new Uint8Array(32),
): Promise<Exported> {
  const says = change(parseExport(exported.ticket));
  const context = { info: DISK_KEY_INFO, aad: exportContext(says) };
  const diskKey = await sealTo(says.recipient, diskKeyBytes, context);
  return { ...exported, ticket: encodeExport(await signExport({ ...says, diskKey }, await home.hostKey)) };
}

/** As whoever the machine was exported to has it. */
async function diskKeyOf(taken: Taken, below: readonly Taken[]): Promise<Uint8Array<ArrayBuffer>> {
  const pair = await makeKeyPair();
  const ticket = parseExport((await exportIt(taken, { mode: 'backup', to: toHex(pair.publicKey), below })).ticket);
  const opened = await openWith(pair, ticket.diskKey, { info: DISK_KEY_INFO, aad: exportContext(ticket) });
  return new Uint8Array(opened ?? []);
}

/** What opens them there. */
async function keysOf(broker: BrokerInstance, all: readonly Taken[]): Promise<string[]> {
  const keys: string[] = [];
  for (const { snapshot } of all) {
    const { request, recipient } = await ask(broker, snapshot, 'restore');
    const { sealed } = await broker.client.call({ op: 'release-snapshot-key', request, rewind: true });
    using key = recipient.open(Buffer.from(sealed, 'base64'), request);
    keys.push(toHex(key.expose()));
  }
  return keys;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

describe('a machine that moves', () => {
  test('in a state that continues others leaves with all of them, in their order, and with no other', async () => {
    const one = await take();
    const two = await take(home, one);
    const three = await take(home, two);
    const stranger = await take();
    for (const below of [[], [two], [one], [two, one], [one, two, stranger], [stranger, two]]) {
      expect(await codeOf(exportIt(three, { mode: 'backup', below }))).toBe('conflict');
    }
    // As it says it is, and with the bytes of another.
    const altered = [one, { ...two, object: stranger.object }];
    expect(await codeOf(exportIt(three, { mode: 'backup', below: altered }))).toBe('proof-invalid');
    const exported = await exportIt(three, { mode: 'backup', below: [one, two] });
    expect(parseExport(exported.ticket).bases.map(({ root }) => root)).toEqual([one.root, two.root]);
    expect(await codeOf(exportIt(one, { mode: 'backup' }))).toBe(DONE);
  });

  test('in a state that continues others is put back there, and what it continues is kept for it', async () => {
    const one = await take();
    const two = await take(home, one);
    const exported = await exportIt(two, { below: [one] });
    expect(await codeOf(finish(away, exported))).toBe('conflict');
    await beginOne(away, exported, {}, parseExport(exported.ticket).snapshot);
    // The one below it was not begun.
    expect(await codeOf(finish(away, exported))).toBe('conflict');
    await bring(away, exported);
    await finish(away, exported);
    const { request } = await ask(away, one.snapshot, 'base');
    expect(await codeOf(away.client.call({ op: 'release-snapshot-key', request, rewind: false }))).toBe(DONE);
    expect(await restore(away, one)).toBe('conflict');
    expect(await restore(away, two)).toBe(DONE);
    expect(await codeOf(away.client.call({ op: 'forget-snapshot', snapshot: one.snapshot }))).toBe('conflict');
    await away.client.call({ op: 'forget-snapshot', snapshot: two.snapshot });
    await away.client.call({ op: 'forget-snapshot', snapshot: one.snapshot });
    expect(await codeOf(bring(away, exported))).toBe('conflict');
    expect((await away.client.call({ op: 'rotate-root-key' })).keys).toBeGreaterThan(0);
  });

  test('is refused with what it continues swapped, another’s, or left out of its ticket', async () => {
    const one = await take();
    const two = await take(home, one);
    const three = await take(home, two);
    const exported = await exportIt(three, { below: [one, two] });
    const [first = '', second = ''] = exported.bases ?? [];
    expect(await codeOf(bring(away, { ...exported, bases: [second, first] }))).toBe('proof-invalid');
    expect(await codeOf(bring(away, { ...exported, bases: [first, first] }))).toBe('proof-invalid');
    const without = await signedAnew(exported, ({ bases, ...ticket }) => ({ ...ticket, bases: bases.slice(1) }));
    expect(await codeOf(bring(away, { ...without, bases: [second] }))).toBe('proof-invalid');
    const alone = await signedAnew(exported, (ticket) => ({ ...ticket, bases: [] }));
    expect(await codeOf(bring(away, alone))).toBe('proof-invalid');
    await bring(away, exported);
  });

  test('is opened there with another envelope alone, proves itself with its TPM, and has its disk’s key', async () => {
    const taken = await take();
    const exported = await exportIt(taken);
    const before = Buffer.from(exported.head, 'base64');
    expect(before.length).toBe((await readObjectHead([taken.object])).bytes.length);
    expect(Buffer.compare(before.subarray(-200), taken.object.subarray(before.length - 200, before.length))).toBe(0);
    await begin(away, exported);
    await finish(away, exported);
    expect(await restore(away, taken)).toBe(DONE);
    const then = { ...machine.tpm.clockInfo };
    machine.tpm.clockInfo = { ...then, resetCount: then.resetCount + 1 };
    expect(await boots(away)).toBe('open');
    expect((await take(away)).sequence).toBe(taken.sequence + 1);
  });

  test('gives the object’s key to the host that has received it, and its contents to nobody on the way', async () => {
    const taken = await take();
    const exported = await exportIt(taken);
    const { request, recipient } = await ask(away, taken.snapshot, 'import');
    const accept = fingerprintOf(parseExport(exported.ticket).broker.publicKey);
    const begun = await away.client.call({ op: 'begin-import', request, ...exported, rewind: false, accept });
    if ('here' in begun) throw new Error('it was nowhere');
    using key = recipient.open(Buffer.from(begun.sealed, 'base64'), request);
    const head = Buffer.from(begun.head, 'base64');
    const arrived = Buffer.concat([head, taken.object.subarray(head.length)]);
    const { contents } = await openSealed([arrived], {
      openers: [{ kind: 'key', key: key.expose() }],
      root: fromHex(taken.root),
    });
    const pieces: Uint8Array[] = [];
    for await (const piece of contents) if (piece.kind === 'data') pieces.push(piece.bytes);
    expect(Buffer.concat(pieces).equals(CONTENTS)).toBe(true);
    for (const secret of [toHex(key.expose()), base64(key.expose())])
      expect(JSON.stringify(exported)).not.toContain(secret);
  });

  test('starts no more where it was, and is neither saved nor put back there, but by a word that is written down', async () => {
    const taken = await take();
    await exportIt(taken);
    await expect(boots(home)).rejects.toThrow(/was moved to ringwall-recipient:/);
    expect(await codeOf(take())).toBe('conflict');
    expect(await restore(home, taken)).toBe('conflict');
    expect(await codeOf(exportIt(taken, { to: 'ab'.repeat(32) }))).toBe('conflict');
    await exportIt(taken);
    expect(await restore(home, taken, true)).toBe(DONE);
    expect(await boots(home)).toBe('open');
    const log = readFileSync(join(home.stateDirectory, 'audit.log'), 'utf8');
    expect(log).toContain(`"recipient":"${await recipientOf(away)}","mode":"move","outcome":"ok"`);
  });

  test('is the one that its snapshot is of', async () => {
    const taken = await take();
    const { id } = await home.addMachine();
    const { snapshot, object } = taken;
    const order = { snapshot, machine: id, head: await headOf(object), bytes: object.length, spec: SPEC } as const;
    const takenAt = '2026-11-21T12:00:00.000Z';
    const recipient = await recipientOf(away);
    const asked = home.client.call({ op: 'export-snapshot', ...order, takenAt, recipient, mode: 'backup' });
    expect(await codeOf(asked)).toBe('unauthorized');
  });

  test('moves with its newest state, which nobody has resumed', async () => {
    const [older, newest] = [await take(), await take()];
    expect(await codeOf(exportIt(older))).toBe('conflict');
    expect(await restore(home, newest)).toBe(DONE);
    expect(await codeOf(exportIt(newest))).toBe('conflict');
    await exportIt(older, { mode: 'backup' });
  });

  test('comes back, and what lay here of it since is not started', async () => {
    const taken = await take();
    await bring(away, await exportIt(taken));
    expect(await restore(away, taken)).toBe(DONE);
    const later = await take(away);
    const back = await exportIt(later, { from: away, to: await recipientOf(home) });
    await bring(home, back);
    await expect(boots(home)).rejects.toThrow(/was moved/);
    expect(await restore(home, taken)).toBe('conflict');
    expect(await restore(home, later)).toBe(DONE);
    expect(await boots(home)).toBe('open');
    expect(await restore(away, taken)).toBe('conflict');
  });
});

describe('an import', () => {
  test('of a broker that nothing was taken from yet wants its fingerprint, once', async () => {
    const [first, second] = [await take(), await take()];
    const copy = await exportIt(first, { mode: 'backup' });
    expect(await codeOf(begin(away, copy, { accept: 'ab'.repeat(32), rewind: true }))).toBe('unauthorized');
    await bring(away, copy, { rewind: true });
    const { request } = await ask(away, second.snapshot, 'import');
    const next = await exportIt(second, { mode: 'backup' });
    expect(await codeOf(away.client.call({ op: 'begin-import', request, ...next, rewind: true }))).toBe(DONE);
  });

  test('is taken once; then it wants a word, also when snapshot and machine are gone', async () => {
    const taken = await take();
    const exported = await exportIt(taken);
    await begin(away, exported);
    await bring(away, exported);
    await finish(away, exported);
    expect(await codeOf(begin(away, exported))).toBe('conflict');
    await away.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    expect(await codeOf(begin(away, exported))).toBe('conflict');
    await away.client.call({ op: 'forget-machine', machine: machine.id });
    expect(await codeOf(begin(away, exported))).toBe('conflict');
    expect(await codeOf(begin(away, exported, { rewind: true }))).toBe(DONE);
  });

  test('of a copy wants a word elsewhere, and at home before the machine is put back to it', async () => {
    const taken = await take();
    const copy = await exportIt(taken, { mode: 'backup' });
    expect(await codeOf(begin(away, copy))).toBe('conflict');
    const kept = await exportIt(taken, { mode: 'backup', to: await recipientOf(home) });
    expect(await codeOf(begin(home, kept))).toBe('conflict');
    await home.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    await bring(home, kept);
    expect(await restore(home, taken)).toBe('conflict');
    expect(await restore(home, taken, true)).toBe(DONE);
    expect(await boots(home)).toBe('open');
  });

  test('does not bring back a machine whose keys were destroyed, without a word', async () => {
    const taken = await take();
    const kept = await exportIt(taken, { mode: 'backup', to: await recipientOf(home) });
    await home.client.call({ op: 'forget-machine', machine: machine.id });
    expect(await codeOf(begin(home, kept))).toBe('conflict');
    await bring(home, kept, { rewind: true });
    expect(await restore(home, taken)).toBe(DONE);
  });

  test('is refused to whom it is not for, and where ticket, head or machine were exchanged', async () => {
    const [taken, other] = [await take(), await take()];
    const exported = await exportIt(taken, { mode: 'backup' });
    const refused: [string, () => Promise<unknown>][] = [
      [
        'another recipient',
        async () => begin(away, await exportIt(taken, { mode: 'backup', to: toHex((await makeKeyPair()).publicKey) })),
      ],
      ['another machine', async () => begin(away, exported, { as: (await home.addMachine()).id })],
      [
        'another object',
        async () =>
          begin(away, { ...exported, head: (await exportIt(other, { mode: 'backup' })).head }, { rewind: true }),
      ],
      [
        'the envelope that it had',
        async () => begin(away, { ...exported, head: await headOf(taken.object) }, { rewind: true }),
      ],
      [
        'a head that was cut',
        async () => begin(away, { ...exported, head: exported.head.slice(0, 400) }, { rewind: true }),
      ],
      [
        'another mode',
        async () =>
          begin(
            away,
            resigned(exported, (ticket) => ({ ...ticket, mode: 'move' })),
          ),
      ],
      [
        'another name',
        async () =>
          begin(
            away,
            resigned(exported, (ticket) => ({ ...ticket, machine: { ...ticket.machine, cpus: 9 } })),
          ),
      ],
      [
        'no ticket',
        async () => away.client.call({ op: 'finish-import', ticket: '{}', machine: machine.id, name: 'web' }),
      ],
      ['nothing begun', async () => finish(away, exported)],
    ];
    for (const [what, attempt] of refused) {
      expect(['proof-invalid', 'unauthorized', 'conflict'], what).toContain(await codeOf(attempt()));
    }
  });

  test('ends with the ticket that it began with, not with one that says something else', async () => {
    const taken = await take();
    const exported = await exportIt(taken);
    const stranger = await away.addMachine();
    await begin(away, exported);
    const forged = await signedAnew(exported, (ticket) => ({
      ...ticket,
      tpm: { ...ticket.tpm, ekCertificate: stranger.ekCertificate, akName: undefined },
    }));
    expect(await codeOf(finish(away, forged))).toBe('proof-invalid');
    const elsewhere = await signedAnew(exported, (ticket) => ({
      ...ticket,
      machine: { ...ticket.machine, id: stranger.id },
    }));
    expect(await codeOf(finish(away, elsewhere))).toBe('proof-invalid');
    await finish(away, exported);
    expect(await restore(away, taken)).toBe(DONE);
  });

  test('of one state under two tickets is one: the machine may have gone on since', async () => {
    const taken = await take();
    const [first, second] = [await exportIt(taken), await exportIt(taken)];
    await bring(away, first);
    expect(await restore(away, taken)).toBe(DONE);
    const later = await take(away);
    await exportIt(later, { from: away, to: toHex((await makeKeyPair()).publicKey) });
    await away.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    expect(await codeOf(begin(away, second))).toBe('conflict');
    expect(await codeOf(begin(away, second, { rewind: true }))).toBe(DONE);
  });

  test('that was begun does not end once snapshot or machine were destroyed', async () => {
    const taken = await take();
    const kept = await exportIt(taken, { mode: 'backup', to: await recipientOf(home) });
    await home.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    await begin(home, kept);
    await home.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    expect(await codeOf(finish(home, kept))).toBe('conflict');
    await begin(home, kept);
    await home.client.call({ op: 'forget-machine', machine: machine.id });
    expect(await codeOf(finish(home, kept))).toBe('conflict');
    expect(await codeOf(begin(home, kept))).toBe('conflict');
  });

  test('under the id of another machine’s snapshot is refused', async () => {
    const taken = await take();
    await bring(away, await exportIt(taken));
    const other = await home.addMachine();
    const forged = await signedAnew(await exportIt(taken), (ticket) => ({
      ...ticket,
      id: 'ab'.repeat(16),
      machine: { ...ticket.machine, id: other.id },
      tpm: { ...ticket.tpm, ekCertificate: other.ekCertificate },
    }));
    await expect(begin(away, forged)).rejects.toMatchObject({
      code: 'proof-invalid',
      message: expect.stringMatching(/is of another machine/),
    });
  });

  test('of a machine that has another disk or TPM here is refused', async () => {
    const taken = await take();
    const kept = await exportIt(taken, { mode: 'backup', to: await recipientOf(home) });
    await home.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    await home.client.call({ op: 'rotate-key', machine: machine.id });
    await boots(home);
    expect(await codeOf(begin(home, kept, { rewind: true }))).toBe('conflict');
  });
});

describe('an import of which some is there already', () => {
  /** Of the machine's first three states, each over the one before; the first two are there, as a copy. */
  async function partly(): Promise<{ one: Taken; two: Taken; three: Taken; exported: Exported }> {
    const one = await take();
    const two = await take(home, one);
    await bring(away, await exportIt(two, { mode: 'backup', below: [one] }), { rewind: true });
    const three = await take(home, two);
    return { one, two, three, exported: await exportIt(three, { mode: 'backup', below: [one, two] }) };
  }

  test('brings what is not, and gives out no other key of what is', async () => {
    const { one, two, three, exported } = await partly();
    const before = await keysOf(away, [one, two]);
    const [first, second, third] = await begin(away, exported, { rewind: true });
    expect([first, second]).toEqual([undefined, undefined]);
    expect(third).toBeDefined();
    expect(await codeOf(finish(away, exported))).toBe(DONE);
    expect(await keysOf(away, [one, two])).toEqual(before);
    expect(await codeOf(finish(away, exported))).toBe(DONE);
    expect(await codeOf(away.client.call({ op: 'forget-snapshot', snapshot: two.snapshot }))).toBe('conflict');
    expect(await restore(away, two)).toBe('conflict');
    expect(await restore(away, three)).toBe(DONE);
  });

  test('says so again of one that was brought and removed', async () => {
    const { three, exported } = await partly();
    await bring(away, exported, { rewind: true });
    await away.client.call({ op: 'forget-snapshot', snapshot: three.snapshot });
    expect(await codeOf(begin(away, exported))).toBe('conflict');
    await bring(away, exported, { rewind: true });
  });

  test('at home, where a copy that was removed comes back on top of what was kept', async () => {
    const one = await take();
    const two = await take(home, one);
    const kept = await exportIt(two, { mode: 'backup', to: await recipientOf(home), below: [one] });
    await home.client.call({ op: 'forget-snapshot', snapshot: two.snapshot });
    expect((await begin(home, kept)).map((opener) => opener !== undefined)).toEqual([false, true]);
    await finish(home, kept);
    expect(await restore(home, two)).toBe('conflict');
    expect(await restore(home, two, true)).toBe(DONE);
  });

  test('of which nothing is left is refused, and of which the newest is older brings no older state as newest', async () => {
    const { one, two, three, exported } = await partly();
    await bring(away, exported, { rewind: true });
    const again = await exportIt(three, { mode: 'backup', below: [one, two] });
    await expect(begin(away, again, { rewind: true })).rejects.toThrow(/@3 is here already$/);
    const older = await exportIt(two, { mode: 'backup', below: [one] });
    await away.client.call({ op: 'forget-snapshot', snapshot: three.snapshot });
    await away.client.call({ op: 'forget-snapshot', snapshot: two.snapshot });
    await bring(away, older, { rewind: true });
    expect(await restore(away, two)).toBe('conflict');
  });

  test('is not ended where what was there has gone meanwhile, nor where it came otherwise', async () => {
    const { one, two, exported } = await partly();
    await begin(away, exported, { rewind: true });
    await away.client.call({ op: 'forget-snapshot', snapshot: two.snapshot });
    expect(await codeOf(finish(away, exported))).toBe('conflict');
    await begin(away, exported, { rewind: true });
    await bring(away, await exportIt(two, { mode: 'backup', below: [one] }), { rewind: true });
    expect(await codeOf(finish(away, exported))).toBe('conflict');
    // Begun again it finds both, and what it had begun of them is gone.
    await bring(away, exported, { rewind: true });
  });

  test('is refused where what is there under that id or number is another, and replaces nothing', async () => {
    const { one, two, three, exported } = await partly();
    const diskKey = await diskKeyOf(three, [one, two]);
    const before = await keysOf(away, [one, two]);
    type Ticket = Pick<SignedExport, 'bases' | 'snapshot'>;
    const altered = (change: (first: Base, second: Base, ticket: SignedExport) => Partial<Ticket>): Promise<Exported> =>
      signedAnew(
        exported,
        (ticket) => {
          const [first, second] = ticket.bases;
          if (first === undefined || second === undefined) throw new Error('nothing goes before it');
          return { ...ticket, ...change(first, second, ticket) };
        },
        diskKey,
      );
    const refused: [string, Exported, RegExp][] = [
      [
        'another content under its id',
        await altered((first, second) => ({ bases: [{ ...first, root: 'ab'.repeat(32) }, second] })),
        /web@1 is here already as snp_.*, with another content: nothing was replaced/,
      ],
      [
        'another object with its number',
        await altered((first, second) => ({ bases: [{ ...first, id: newSnapshotId() }, second] })),
        /web@1 is here already, and is another one/,
      ],
      [
        'its id under another number',
        await altered((first, second, { snapshot }) => ({
          bases: [first, { ...second, sequence: 5 }],
          snapshot: { ...snapshot, sequence: 6 },
        })),
        /web@5 is here already as snp_.*, with another content/,
      ],
      [
        'without what it continues',
        await altered((_, second) => ({ bases: [second] })),
        /web@2 is here already as snp_.*, with another content/,
      ],
    ];
    for (const [what, ticket, said] of refused) {
      const bases = (exported.bases ?? []).slice(-parseExport(ticket.ticket).bases.length);
      await expect(begin(away, { ...ticket, bases }, { rewind: true }), what).rejects.toThrow(said);
    }
    expect(await keysOf(away, [one, two])).toEqual(before);
  });

  test('tells whoever has not got the key of its disk nothing of what is there', async () => {
    const { exported } = await partly();
    const forged = await signedAnew(exported, (ticket) => ticket);
    const other = await signedAnew(exported, ({ bases, ...ticket }) => ({
      ...ticket,
      bases: bases.map((base, index) => (index === 0 ? { ...base, root: 'ab'.repeat(32) } : base)),
    }));
    for (const each of [forged, other])
      await expect(begin(away, each, { rewind: true })).rejects.toThrow(/^the key of its disk is another/);
  });

  test('is refused to another host of the broker than the one on which that lies', async () => {
    const { exported } = await partly();
    const host = await makeReferenceKey();
    await expect(begin(away, exported, { rewind: true, host })).rejects.toThrow(/is on another host of this broker/);
  });
});

describe('a machine with imported disks', () => {
  /** By the host of this broker, or by whoever is named. */
  async function askDisk(
    broker: BrokerInstance,
    disk: DiskId,
    { host, ...changes }: Partial<Omit<DiskKeyRequest, 'host'>> & { readonly host?: Signer } = {},
  ): Promise<{ request: DiskKeyRequest; recipient: Recipient }> {
    const signer = host ?? (await broker.hostKey);
    const recipient = newRecipient();
    const unsigned = {
      ...{ disk, use: 'start' as const, machine: machine.id, boot: newBootId() },
      ...{ publicKey: base64(recipient.publicKey), host: base64(signer.publicKey), ...changes },
    };
    return { request: { ...unsigned, signature: base64(await signer.sign(keyRequestMessage(unsigned))) }, recipient };
  }
  async function keyOf(
    broker: BrokerInstance,
    disk: DiskId,
    asked: Parameters<typeof askDisk>[2] = {},
    put: { readonly rewind?: boolean; readonly snapshot?: SnapshotId } = {},
  ): Promise<string> {
    const { request, recipient } = await askDisk(broker, disk, asked);
    const { sealed } = await broker.client.call({ op: 'release-disk-key', request, ...put });
    using key = recipient.open(Buffer.from(sealed, 'base64'), request);
    return Buffer.from(key.expose()).toString('latin1');
  }
  async function leaves(...disks: readonly DiskId[]): Promise<DiskKeyRequest[]> {
    const words: DiskKeyRequest[] = [];
    for (const disk of disks) words.push((await askDisk(home, disk, { use: 'export', boot: undefined })).request);
    return words;
  }
  async function twoDisks(): Promise<[DiskId, DiskId]> {
    const disks: [DiskId, DiskId] = [newDiskId(), newDiskId()];
    for (const disk of disks) await keyOf(home, disk, { use: 'import' });
    return disks;
  }

  test('leaves with their keys, which are for the host that has it then, and for the other no more', async () => {
    const disks = await twoDisks();
    const keys = [await keyOf(home, disks[0]), await keyOf(home, disks[1])];
    const taken = await take();
    const exported = await exportIt(taken, { disks: await leaves(...disks) });
    expect(parseExport(exported.ticket).disks.map(({ id, name }) => [id, name])).toEqual([
      [disks[0], 'data-0'],
      [disks[1], 'data-1'],
    ]);
    for (const key of keys) expect(exported.ticket).not.toContain(key);
    await expect(keyOf(home, disks[0])).rejects.toThrow(/no disk is opened for it: hello was moved/);
    await begin(away, exported);
    expect(await codeOf(keyOf(away, disks[0]))).toBe('not-found');
    await finish(away, exported);
    expect([await keyOf(away, disks[0]), await keyOf(away, disks[1])]).toEqual(keys);
    const stranger = await makeReferenceKey();
    expect(await codeOf(keyOf(away, disks[0], { host: stranger }))).toBe('unauthorized');
    // A person says that it never arrived.
    expect(await keyOf(home, disks[0], {}, { rewind: true })).toBe(keys[0]);
    await away.client.call({ op: 'rotate-root-key' });
    expect(await keyOf(away, disks[0])).toBe(keys[0]);
  });

  test('comes home, and is put back to what has come before its disks open for anything else', async () => {
    const [disk] = await twoDisks();
    const key = await keyOf(home, disk);
    const taken = await take();
    await bring(away, await exportIt(taken, { disks: await leaves(disk) }));
    expect(await restore(away, taken)).toBe(DONE);
    const later = await take(away);
    const { request } = await askDisk(away, disk, { use: 'export', boot: undefined });
    await bring(home, await exportIt(later, { from: away, to: await recipientOf(home), disks: [request] }));
    expect(await codeOf(keyOf(home, disk))).toBe('conflict');
    expect(await codeOf(keyOf(home, disk, {}, { snapshot: taken.snapshot }))).toBe('conflict');
    expect(await keyOf(home, disk, {}, { snapshot: later.snapshot })).toBe(key);
    expect(await restore(home, later)).toBe(DONE);
    expect(await keyOf(home, disk)).toBe(key);
  });

  test('leaves with no disk for which its host has not signed that it is this machine’s', async () => {
    const [disk] = await twoDisks();
    const taken = await take();
    const other = await home.addMachine();
    const word = { use: 'export', boot: undefined } as const;
    const refused: [string, DiskKeyRequest, string][] = [
      ['for a start', (await askDisk(home, disk)).request, 'unauthorized'],
      ['for another machine', (await askDisk(home, disk, { ...word, machine: other.id })).request, 'unauthorized'],
      [
        'by another host',
        (await askDisk(home, disk, { ...word, host: await makeReferenceKey() })).request,
        'unauthorized',
      ],
      ['for another disk', { ...(await askDisk(home, disk, word)).request, disk: newDiskId() }, 'unauthorized'],
      ['of which there is no key', (await askDisk(home, newDiskId(), word)).request, 'not-found'],
    ];
    for (const [what, request, code] of refused) {
      expect(await codeOf(exportIt(taken, { disks: [request] })), what).toBe(code);
    }
    // And that word asks for no key.
    expect(await codeOf(keyOf(home, disk, word))).toBe('unauthorized');
    expect(await codeOf(exportIt(taken))).toBe(DONE);
  });

  test('is refused with keys that were exchanged, or are others than those that are there', async () => {
    const [one, two] = await twoDisks();
    const taken = await take();
    const exported = await exportIt(taken, { mode: 'backup', disks: await leaves(one, two) });
    const swapped = await signedAnew(exported, ({ disks, ...ticket }) => {
      const [first, second] = disks;
      if (first === undefined || second === undefined) throw new Error('it has two disks');
      return {
        ...ticket,
        disks: [
          { ...first, key: second.key },
          { ...second, key: first.key },
        ],
      };
    });
    await expect(begin(away, swapped, { rewind: true })).rejects.toThrow(/imported disk in its ticket does not open/);
    const before = await keyOf(away, one, { use: 'import' });
    await expect(begin(away, exported, { rewind: true })).rejects.toThrow(/is another than the one that is here/);
    expect(await keyOf(away, one, { use: 'import' })).toBe(before);
    expect(await codeOf(keyOf(away, two))).toBe('not-found');
  });

  test('is taken where a key of its disks was destroyed only by the word of a person', async () => {
    const [disk] = await twoDisks();
    const taken = await take();
    const kept = await exportIt(taken, { mode: 'backup', to: await recipientOf(home), disks: await leaves(disk) });
    await home.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    await home.client.call({ op: 'forget-disk', disk, name: 'data' });
    await expect(begin(home, kept)).rejects.toThrow(/the key of its disk data-0 was destroyed here on purpose/);
    await bring(home, kept, { rewind: true });
    expect(await keyOf(home, disk)).toMatch(/^[0-9a-f]{64}$/);
  });
});

test('the key that others export to, and one that is arriving, outlive another root key', async () => {
  const taken = await take();
  const exported = await exportIt(taken);
  const before = await recipientOf(away);
  await begin(away, exported);
  await away.client.call({ op: 'rotate-root-key' });
  await away.restart();
  expect(await recipientOf(away)).toBe(before);
  await finish(away, exported);
  expect(await restore(away, taken)).toBe(DONE);
});
