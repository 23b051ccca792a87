// Snapshots that leave this host and that come to it, as the API asks for them. The broker decides and renders, the warden has the
// bytes; what passes here is sealed for somebody else, and signed.
import type { Duplex } from 'node:stream';
import { type Machine, type MachineId, machineIdSchema, RingwallError, type SnapshotId } from '@ringwall/api';
import type { Disk } from '@ringwall/api/disks';
import { snapshotIdSchema, type Snapshot } from '@ringwall/api/snapshots';
import {
  type BegunImport,
  type ExportedSnapshot,
  type ExportSnapshot,
  type ImportedSnapshot,
  type ImportSnapshot,
  movedSpecSchema,
  receivedSchema,
} from '@ringwall/api/transfers';
import { EvidenceError, parseExport, type SignedExport } from '@ringwall/evidence';
import { carry } from '../rpc/index.ts';
import {
  comingOf,
  headsOfAll,
  hereOf,
  requireWholeHere,
  type Began,
  type Heads,
  type Waiting,
} from './already-here.ts';
import { checkMachineName } from './names.ts';
import { arrivingDisks, leavingDisks, planDisks } from './moved-disks.ts';
import { checkImage } from './plan.ts';
import { QUIET, refuseQuarantined } from './quarantine.ts';
import { chainOf } from './snapshot-chain.ts';
import { findNamed } from './snapshots.ts';
import { CALL_TIMEOUT_MS } from './timing.ts';
import { asRingwallError, type WorkParts } from './work.ts';

/** What was asked for, and whose bytes have not come; more is somebody who asks and never sends. */
const MAX_WAITING = 64;
/** The warden's answer to an object: its head. */
const LINE_LIMIT_BYTES = 256 * 1024;
const TENANT = 'default';
const CAME = 'it came from another host, and is in its snapshot alone: put it back to that';

type Parts = Pick<WorkParts, 'store' | 'warden' | 'broker'>;

interface Planned {
  readonly machine: Machine;
  readonly isNew: boolean;
  /** Imported ones that come with it. */
  readonly disks: readonly Disk[];
}

export class Transfers {
  readonly #parts: Parts;
  readonly #waiting: Map<SnapshotId, Waiting> = new Map();
  /** For which bytes come now, or are being settled: one import at a time, or each would write over what the other has looked at. */
  readonly #coming: Set<MachineId> = new Set();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** What others export to, so that this host alone can open it. */
  recipient(): Promise<{ file: string }> {
    return this.#parts.broker.call({ op: 'read-recipient' });
  }

  /** Ticket and head; what follows them is in `openBody`. */
  async export(name: string, { recipient, mode }: ExportSnapshot): Promise<ExportedSnapshot> {
    const { store, warden, broker } = this.#parts;
    const { id: snapshot, machine: id, createdAt: takenAt } = await findNamed(this.#parts, name);
    const all = await store.snapshots.list(id);
    const below = all.filter((each) => each.id === snapshot).flatMap((each) => chainOf(each, all).slice(0, -1));
    const machine = await this.#requireMachine(id);
    refuseQuarantined(machine);
    if (mode === 'move') refuseRunning(machine, 'moves');
    const { image, cpus, memoryMiB, diskMiB, watch } = machine.spec;
    const { head, bytes } = await warden.call({ op: 'read-snapshot-head', machine: id, snapshot });
    const spec = { image, cpus, memoryMiB, diskMiB, watch };
    const bases: { snapshot: SnapshotId; head: string; bytes: number; takenAt: string }[] = [];
    for (const base of below) {
      const read = await warden.call({ op: 'read-snapshot-head', machine: id, snapshot: base.id });
      bases.push({ snapshot: base.id, ...read, takenAt: base.createdAt });
    }
    const disks = await leavingDisks(this.#parts, machine);
    const { bases: rendered = [], ...newest } = await broker.call({
      ...({ op: 'export-snapshot', snapshot, machine: id, head, bytes, takenAt, recipient, mode, spec } as const),
      ...disks,
      ...(bases.length === 0 ? {} : { bases }),
    });
    const to = `ringwall-recipient:${recipient}`;
    await store.appendEvent({
      kind: mode === 'move' ? 'machine.moved' : 'snapshot.exported',
      machine: id,
      message: mode === 'move' ? `${machine.name} left with ${name} for ${to}` : `a copy of ${name} left for ${to}`,
    });
    if (below.length === 0) return { ...newest, bytes };
    const brought = below.map(({ sequence }, index) => ({
      name: `${machine.name}@${String(sequence)}`,
      head: rendered[index] ?? '',
      bytes: bases[index]?.bytes ?? 0,
    }));
    return { ...newest, bytes, bases: brought };
  }

  /** Everything of the object behind its head, encrypted. The caller destroys the stream. */
  async openBody(name: string): Promise<Duplex> {
    const { id: snapshot, machine } = await findNamed(this.#parts, name);
    return (await this.#parts.warden.openStream({ op: 'open-snapshot', machine, snapshot })).stream;
  }

  /** Says at once what would be said when all of it has come, as far as ticket and head can tell. */
  async beginImport(asked: ImportSnapshot): Promise<BegunImport> {
    const ticket = readTicket(asked.ticket);
    const snapshot = snapshotIdSchema.parse(ticket.snapshot.id);
    await this.#planMachine(ticket, asked);
    const { images } = await this.#parts.warden.call({ op: 'list-images' });
    const { image } = ticket.machine;
    checkImage(image, images);
    if (images.find(({ name }) => name === image)?.built !== true) {
      throw new RingwallError('image-unknown', `the image ${image} is not built on this host`, {
        hint: `build it first, as it was built there: ringwall images build ${image}`,
      });
    }
    const here = hereOf(await this.#begin(ticket, asked, asked));
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size >= MAX_WAITING && oldest !== undefined) this.#waiting.delete(oldest);
    this.#waiting.set(snapshot, { ticket, asked, here });
    const bytes = [...comingOf(ticket, here), ticket.snapshot].reduce((sum, object) => sum + object.bytes, 0);
    return { snapshot, bytes, ...(here.size === 0 ? {} : { here: [...here] }) };
  }

  /** `accept` is called once the warden is ready, and answers the connection on which the object comes. Throws until then. */
  async takeObject(id: string, accept: () => Duplex): Promise<void> {
    const waiting = this.#waiting.get(snapshotIdSchema.parse(id));
    if (waiting === undefined) {
      throw new RingwallError('conflict', 'nobody has asked to import this snapshot', {
        hint: 'POST /v1/imports first; ringwall snapshot import does both',
      });
    }
    const { ticket, here } = waiting;
    const [machine, snapshot] = [machineIdSchema.parse(ticket.machine.id), snapshotIdSchema.parse(ticket.snapshot.id)];
    if (this.#coming.has(machine)) {
      throw new RingwallError('conflict', 'a snapshot of this machine is being imported', {
        hint: 'import this one when that has ended',
      });
    }
    const { bytes, root } = ticket.snapshot;
    this.#coming.add(machine);
    using _ = { [Symbol.dispose]: () => void this.#coming.delete(machine) };
    await requireWholeHere(this.#parts, ticket, here);
    const bases = comingOf(ticket, here).map((base) => ({
      ...{ snapshot: snapshotIdSchema.parse(base.id), bytes: base.bytes, root: base.root },
    }));
    const { stream } = await this.#parts.warden.openStream({
      ...({ op: 'receive-snapshot', machine, snapshot, bytes, root } as const),
      ...(bases.length === 0 ? {} : { bases }),
    });
    const client = accept();
    try {
      const imported = await this.#settle(waiting, await carryObject(client, stream));
      client.end(`${JSON.stringify({ done: imported })}\n`);
    } catch (error) {
      client.end(`${JSON.stringify({ error: asRingwallError(error).toBody() })}\n`);
      throw error;
    } finally {
      if (this.#waiting.get(snapshot) === waiting) this.#waiting.delete(snapshot);
    }
  }

  async #settle({ ticket, asked, here }: Waiting, received: Heads): Promise<ImportedSnapshot> {
    const { store, warden, broker } = this.#parts;
    const began = await this.#begin(ticket, asked, headsOfAll({ ticket, asked, here }, received));
    if (hereOf(began).symmetricDifference(here).size > 0) {
      throw new RingwallError('conflict', 'what it continues was removed, or came otherwise, while it came', {
        hint: 'import it again',
      });
    }
    const { machine, isNew, disks } = await this.#planMachine(ticket, asked);
    const { image, cpus, memoryMiB, diskMiB, disks: imported } = machine.spec;
    const { sequence } = ticket.snapshot;
    // What was here is neither written down nor taken back with the rest.
    const snapshots = snapshotsOf(ticket, machine.id).filter(({ id }) => !here.has(id));
    const snapshot = newestOf(snapshots);
    const spec = { image, cpus, memoryMiB, diskMiB, ...(imported === undefined ? {} : { disks: imported }) };
    const arriving = isNew ? arrivingDisks(ticket) : {};
    await warden.call(
      { op: 'settle-import', machine: machine.id, snapshot: snapshot.id, spec, ...began, ...arriving },
      { timeoutMs: CALL_TIMEOUT_MS[arriving.disks === undefined ? 'create-machine' : 'restore-machine'] },
    );
    const name = `${machine.name}@${String(sequence)}`;
    try {
      if (isNew) {
        await store.insertArrived(machine, disks, {
          kind: 'machine.arrived',
          machine: machine.id,
          message: `${machine.name} came with ${[name, ...disks.map((disk) => `its disk ${disk.name}`)].join(', ')}`,
        });
      }
      for (const each of snapshots) {
        await store.snapshots.insert(each, {
          kind: 'snapshot.imported',
          machine: machine.id,
          message: `${machine.name}@${String(each.sequence)} came from elsewhere: ${each.root}`,
        });
      }
      await broker.call({ op: 'finish-import', ticket: asked.ticket, machine: machine.id, name: machine.name });
    } catch (error) {
      await this.#undo(snapshots, { machine, isNew, disks });
      throw error;
    }
    return { machine, snapshot };
  }

  /** What the broker has not taken is not here. */
  async #undo(snapshots: readonly Snapshot[], { machine, isNew, disks }: Planned): Promise<void> {
    const { store, warden, broker } = this.#parts;
    const event = { machine: machine.id, message: `the import of ${machine.name} was broken off` };
    // What continues another before that. The key goes first; where the broker is away, one is left that opens nothing any more.
    const newestFirst = snapshots.toReversed();
    for (const { id } of newestFirst) {
      await broker.call({ op: 'forget-snapshot', snapshot: id }).catch(() => undefined);
    }
    if (isNew) {
      await warden.call({ op: 'remove-machine', machine: machine.id });
      await store.deleteMachine(machine.id, { kind: 'machine.removed', ...event });
      for (const disk of disks) {
        await broker.call({ op: 'forget-disk', disk: disk.id, name: disk.name }).catch(() => undefined);
        await warden.call({ op: 'remove-disk', disk: disk.id });
        await store.disks.delete(disk, { kind: 'disk.removed', message: event.message });
      }
      return;
    }
    for (const snapshot of newestFirst) {
      await warden.call({ op: 'remove-snapshot', machine: machine.id, snapshot: snapshot.id });
      await store.snapshots.delete(snapshot, { kind: 'snapshot.removed', ...event });
    }
  }

  async #begin(ticket: SignedExport, asked: ImportSnapshot, { head, bases = [] }: Heads): Promise<Began> {
    if (bases.length !== ticket.bases.length) {
      throw new RingwallError('proof-invalid', 'its ticket is for other objects than those that follow it');
    }
    const begun: NonNullable<Began['bases']>[number][] = [];
    for (const [index, { id, root }] of ticket.bases.entries()) {
      const snapshot = snapshotIdSchema.parse(id);
      const one = await this.#beginOne(ticket, asked, snapshot, bases[index] ?? '');
      begun.push({ snapshot, root, ...(one === 'here' ? {} : { came: { head: one.head, key: one.key } }) });
    }
    const newest = await this.#beginOne(ticket, asked, snapshotIdSchema.parse(ticket.snapshot.id), head);
    if (newest === 'here') throw new RingwallError('internal', 'the broker takes nothing, and says why nowhere');
    return begun.length === 0 ? newest : { ...newest, bases: begun };
  }

  async #beginOne(
    ticket: SignedExport,
    asked: ImportSnapshot,
    snapshot: SnapshotId,
    head: string,
  ): Promise<Began | 'here'> {
    const { warden, broker } = this.#parts;
    const machine = machineIdSchema.parse(ticket.machine.id);
    const { request } = await warden.call({ op: 'ask-snapshot-key', snapshot, machine, use: 'import' });
    const begun = await broker.call({
      op: 'begin-import',
      request,
      ticket: asked.ticket,
      head,
      rewind: asked.rewind ?? false,
      ...(asked.accept === undefined ? {} : { accept: asked.accept }),
    });
    if ('here' in begun) return 'here';
    const { sealed, ...rendered } = begun;
    return { key: { publicKey: request.publicKey, sealed }, ...rendered };
  }

  /** The machine that is here, if it stands still; or the one that will be. */
  async #planMachine(ticket: SignedExport, asked: ImportSnapshot): Promise<Planned> {
    const id = machineIdSchema.parse(ticket.machine.id);
    const { store } = this.#parts;
    const here = await store.findMachine(id);
    if (here !== undefined) {
      refuseRunning(here, 'goes back');
      return { machine: here, isNew: false, disks: [] };
    }
    const name = asked.name ?? ticket.machine.name;
    checkMachineName(name);
    if ((await store.findMachine(name)) !== undefined) {
      throw new RingwallError('name-taken', `there is a machine named ${name} already, and it is another one`, {
        hint: 'choose another name: --name NAME',
      });
    }
    const encryption = ticket.disk.kind === 'authenticated' ? 'authenticated' : 'guest';
    const spec = movedSpecSchema.safeParse(ticket.machine);
    if (!spec.success) throw new RingwallError('spec-invalid', 'the ticket is for a machine that cannot be made here');
    const disks = await planDisks(this.#parts, TENANT, ticket);
    const withDisks = disks.length === 0 ? {} : { disks: disks.map((disk) => disk.id) };
    const machine: Machine = {
      ...{ id, name, tenant: TENANT, version: 1, createdAt: new Date().toISOString() },
      spec: { ...spec.data, isolation: 'vm', running: false, encryption, ...withDisks },
      status: { ...QUIET, phase: 'stopped', reasons: [CAME] },
    };
    return { machine, isNew: true, disks };
  }

  async #requireMachine(id: Machine['id']): Promise<Machine> {
    const machine = await this.#parts.store.findMachine(id);
    if (machine !== undefined) return machine;
    throw new RingwallError('not-found', `there is no machine ${id}`);
  }
}

function refuseRunning({ name, status }: Machine, does: string): void {
  if (status.phase === 'stopped' || status.phase === 'failed') return;
  throw new RingwallError('conflict', `${name} is ${status.phase}: only a machine that is stopped ${does}`, {
    hint: `stop it first; what it did since the snapshot is lost: ringwall stop ${name}`,
  });
}

function readTicket(text: string): SignedExport {
  try {
    return parseExport(text);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    throw new RingwallError('proof-invalid', `it is no ticket of an export: ${error.message}`, { cause: error });
  }
}

/** What its ticket is for, as snapshots of its machine. */
function snapshotsOf({ bases, snapshot }: SignedExport, machine: Machine['id']): Snapshot[] {
  const all = [...bases, snapshot];
  return all.map(({ id, sequence, root, bytes, takenAt }, index) => {
    const parent = all[index - 1]?.id;
    return {
      ...{ id: snapshotIdSchema.parse(id), machine, sequence, root, bytes, createdAt: takenAt.toISOString() },
      ...{ pauseMs: 0, tookMs: 0 },
      ...(parent === undefined ? {} : { parent: snapshotIdSchema.parse(parent) }),
    };
  });
}

function newestOf(snapshots: readonly Snapshot[]): Snapshot {
  const newest = snapshots.at(-1);
  if (newest === undefined) throw new RingwallError('internal', 'a ticket for no snapshot');
  return newest;
}

/** The heads of what has come, once the warden has all of it and says that it is whole. */
async function carryObject(client: Duplex, warden: Duplex): Promise<Heads> {
  for await (const line of carry(client, warden, LINE_LIMIT_BYTES)) {
    const message = receivedSchema.parse(line);
    if ('done' in message) return message.done;
    const { code, message: text, hint } = message.error;
    throw RingwallError.fromBody({ code, message: text, ...(hint === undefined ? {} : { hint }) });
  }
  throw new RingwallError('warden-unavailable', 'the warden ended in the middle of the import', {
    hint: 'nothing of it is left: import it again',
  });
}
