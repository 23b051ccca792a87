// Snapshots that leave one broker and come to another, as their hosts and daemons would have it.
import { machineIdSchema, newSnapshotId, type MachineId, type SnapshotId } from '@ringwall/api';
import type { DiskKeyRequest } from '@ringwall/api/disks';
import { snapshotIdSchema, type SnapshotKeyRequest } from '@ringwall/api/snapshots';
import { toHex } from '@ringwall/bytes';
import {
  encodeExport,
  exportContext,
  parseExport,
  parseHostRecipient,
  signExport,
  type SignedExport,
  type Signer,
} from '@ringwall/evidence';
import { makeKeyPair, openWith, readObjectHead, sealStream, sealTo, type Opener } from '@ringwall/seal';
import { afterEach, beforeEach } from 'vitest';
import { keyRequestMessage, newRecipient, type Recipient } from '../../keys/index.ts';
import { DISK_KEY_INFO } from '../snapshot-export.ts';
import { fingerprintOf } from '../snapshot-import.ts';
import { BrokerInstance, codeOf, type TestMachine } from './instance.ts';

export const CONTENTS = Buffer.alloc(10_000, 'the state of a machine, ');
/** As codeOf says it. */
export const DONE = 'no error';
export const SPEC = { image: 'hello', cpus: 1, memoryMiB: 256, diskMiB: 64, watch: 'enforce' } as const;

const SAID_OF_DISKS = { sizeBytes: 4096, digest: 'aa'.repeat(32), source: { format: 'raw', name: 'data.raw' } };

export let home: BrokerInstance;
export let away: BrokerInstance;
export let machine: TestMachine;
/** Two brokers for each test of the file, and a machine that has proved itself to the first. */
export function useTwoBrokers(): void {
  beforeEach(async () => {
    [home, away] = await Promise.all([BrokerInstance.start(), BrokerInstance.start()]);
    machine = await home.addMachine();
    await (await home.boot(machine)).guest.unlock(await home.brokerKey());
  });
  afterEach(async () => {
    await home[Symbol.asyncDispose]();
    await away[Symbol.asyncDispose]();
  });
}

export interface Taken {
  readonly snapshot: SnapshotId;
  readonly sequence: number;
  /** As it lies on the host. */
  readonly object: Buffer;
  /** Its own name for itself, and the root of its tree. */
  readonly named: string;
  readonly root: string;
}

export interface Exported {
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

export type Base = SignedExport['bases'][number];

export async function ask(
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

export async function take(broker: BrokerInstance = home, parent?: Taken): Promise<Taken> {
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

export async function headOf(object: Uint8Array): Promise<string> {
  return base64((await readObjectHead([object])).bytes);
}

export async function recipientOf(broker: BrokerInstance): Promise<string> {
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

export async function exportIt(
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
export async function begin(
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

export async function beginOne(
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

export async function finish(broker: BrokerInstance, { ticket }: Exported): Promise<void> {
  await broker.client.call({ op: 'finish-import', ticket, machine: machine.id, name: 'web' });
}

export async function bring(broker: BrokerInstance, exported: Exported, options: ImportOptions = {}): Promise<void> {
  await begin(broker, exported, options);
  await finish(broker, exported);
}

/** Puts the machine back to it. */
export async function restore(broker: BrokerInstance, { snapshot }: Taken, rewind = false): Promise<string> {
  const { request } = await ask(broker, snapshot, 'restore');
  const code = await codeOf(broker.client.call({ op: 'release-snapshot-key', request, rewind }));
  if (code === DONE) await broker.client.call({ op: 'confirm-restore', snapshot });
  return code;
}

export async function boots(broker: BrokerInstance): Promise<string> {
  return (await (await broker.boot(machine)).guest.unlock(await broker.brokerKey())).mode;
}

export function resigned(exported: Exported, change: (ticket: SignedExport) => SignedExport): Exported {
  return { ...exported, ticket: encodeExport(change(parseExport(exported.ticket))) };
}

/** By somebody who has a key that signs, and none of the machine's, where no other is given. */
export async function signedAnew(
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
export async function diskKeyOf(taken: Taken, below: readonly Taken[]): Promise<Uint8Array<ArrayBuffer>> {
  const pair = await makeKeyPair();
  const ticket = parseExport((await exportIt(taken, { mode: 'backup', to: toHex(pair.publicKey), below })).ticket);
  const opened = await openWith(pair, ticket.diskKey, { info: DISK_KEY_INFO, aad: exportContext(ticket) });
  return new Uint8Array(opened ?? []);
}

/** What opens them there. */
export async function keysOf(broker: BrokerInstance, all: readonly Taken[]): Promise<string[]> {
  const keys: string[] = [];
  for (const { snapshot } of all) {
    const { request, recipient } = await ask(broker, snapshot, 'restore');
    const { sealed } = await broker.client.call({ op: 'release-snapshot-key', request, rewind: true });
    using key = recipient.open(Buffer.from(sealed, 'base64'), request);
    keys.push(toHex(key.expose()));
  }
  return keys;
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
