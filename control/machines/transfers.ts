// Snapshots that leave this host and that come to it, as the API asks for them. The broker decides and renders, the warden has the
// bytes; what passes here is sealed for somebody else, and signed.
import type { Duplex } from 'node:stream';
import { type Machine, machineIdSchema, RingwallError, type SnapshotId } from '@ringwall/api';
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
import type { SealedKey } from '@ringwall/api/warden';
import { EvidenceError, parseExport, type SignedExport } from '@ringwall/evidence';
import { carry } from '../rpc/index.ts';
import { checkMachineName } from './names.ts';
import { checkImage } from './plan.ts';
import { QUIET, refuseQuarantined } from './quarantine.ts';
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

/** A ticket whose object is to come. */
interface Waiting {
  readonly ticket: SignedExport;
  readonly asked: ImportSnapshot;
}

interface Began {
  readonly key: SealedKey;
  readonly head: string;
  readonly ekCertificate: string;
}

export class Transfers {
  readonly #parts: Parts;
  readonly #waiting: Map<SnapshotId, Waiting> = new Map();
  /** Whose bytes come now, or are being settled. */
  readonly #coming: Set<SnapshotId> = new Set();

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
    const machine = await this.#requireMachine(id);
    refuseQuarantined(machine);
    if (machine.spec.disks !== undefined && machine.spec.disks.length > 0) {
      throw new RingwallError('conflict', `${machine.name} has imported disks, which do not leave this host`, {
        hint: 'their keys are bound to it; a machine without such disks can be exported',
      });
    }
    if (mode === 'move') refuseRunning(machine, 'moves');
    const { image, cpus, memoryMiB, diskMiB, watch } = machine.spec;
    const { head, bytes } = await warden.call({ op: 'read-snapshot-head', machine: id, snapshot });
    const spec = { image, cpus, memoryMiB, diskMiB, watch };
    const rendered = await broker.call({
      ...({ op: 'export-snapshot', snapshot, machine: id, head, bytes, takenAt, recipient, mode, spec } as const),
    });
    const to = `ringwall-recipient:${recipient}`;
    await store.appendEvent({
      kind: mode === 'move' ? 'machine.moved' : 'snapshot.exported',
      machine: id,
      message: mode === 'move' ? `${machine.name} left with ${name} for ${to}` : `a copy of ${name} left for ${to}`,
    });
    return { ...rendered, bytes };
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
    await this.#begin(ticket, asked, asked.head);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size >= MAX_WAITING && oldest !== undefined) this.#waiting.delete(oldest);
    this.#waiting.set(snapshot, { ticket, asked });
    return { snapshot, bytes: ticket.snapshot.bytes };
  }

  /** `accept` is called once the warden is ready, and answers the connection on which the object comes. Throws until then. */
  async takeObject(id: string, accept: () => Duplex): Promise<void> {
    const waiting = this.#waiting.get(snapshotIdSchema.parse(id));
    if (waiting === undefined) {
      throw new RingwallError('conflict', 'nobody has asked to import this snapshot', {
        hint: 'POST /v1/imports first; ringwall snapshot import does both',
      });
    }
    const { ticket } = waiting;
    const [machine, snapshot] = [machineIdSchema.parse(ticket.machine.id), snapshotIdSchema.parse(ticket.snapshot.id)];
    if (this.#coming.has(snapshot)) throw new RingwallError('conflict', 'this snapshot is being imported');
    const { bytes, root } = ticket.snapshot;
    this.#coming.add(snapshot);
    using _ = { [Symbol.dispose]: () => void this.#coming.delete(snapshot) };
    const { stream } = await this.#parts.warden.openStream({ op: 'receive-snapshot', machine, snapshot, bytes, root });
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

  async #settle({ ticket, asked }: Waiting, head: string): Promise<ImportedSnapshot> {
    const { store, warden, broker } = this.#parts;
    const began = await this.#begin(ticket, asked, head);
    const { machine, isNew } = await this.#planMachine(ticket, asked);
    const { image, cpus, memoryMiB, diskMiB } = machine.spec;
    const { sequence, root, bytes, takenAt } = ticket.snapshot;
    const id = snapshotIdSchema.parse(ticket.snapshot.id);
    const snapshot: Snapshot = {
      ...{ id, machine: machine.id, sequence, root, bytes, createdAt: takenAt.toISOString(), pauseMs: 0, tookMs: 0 },
    };
    const spec = { image, cpus, memoryMiB, diskMiB };
    await warden.call(
      { op: 'settle-import', machine: machine.id, snapshot: id, spec, ...began },
      { timeoutMs: CALL_TIMEOUT_MS['create-machine'] },
    );
    const name = `${machine.name}@${String(sequence)}`;
    try {
      if (isNew) {
        await store.insertArrived(machine, {
          kind: 'machine.arrived',
          machine: machine.id,
          message: `${machine.name} came with ${name}`,
        });
      }
      await store.snapshots.insert(snapshot, {
        kind: 'snapshot.imported',
        machine: machine.id,
        message: `${name} came from elsewhere: ${root}`,
      });
      await broker.call({ op: 'finish-import', ticket: asked.ticket, machine: machine.id, name: machine.name });
    } catch (error) {
      await this.#undo(snapshot, machine, isNew);
      throw error;
    }
    return { machine, snapshot };
  }

  /** What the broker has not taken is not here. */
  async #undo(snapshot: Snapshot, machine: Machine, isNew: boolean): Promise<void> {
    const { store, warden, broker } = this.#parts;
    const event = { machine: machine.id, message: `the import of ${machine.name} was broken off` };
    // The key goes first; where the broker is away, one is left that opens nothing any more.
    await broker.call({ op: 'forget-snapshot', snapshot: snapshot.id }).catch(() => undefined);
    await warden.call(
      isNew
        ? { op: 'remove-machine', machine: machine.id }
        : { op: 'remove-snapshot', machine: machine.id, snapshot: snapshot.id },
    );
    if (isNew) await store.deleteMachine(machine.id, { kind: 'machine.removed', ...event });
    else await store.snapshots.delete(snapshot, { kind: 'snapshot.removed', ...event });
  }

  async #begin(ticket: SignedExport, asked: ImportSnapshot, head: string): Promise<Began> {
    const { warden, broker } = this.#parts;
    const [machine, snapshot] = [machineIdSchema.parse(ticket.machine.id), snapshotIdSchema.parse(ticket.snapshot.id)];
    const { request } = await warden.call({ op: 'ask-snapshot-key', snapshot, machine, use: 'import' });
    const { sealed, ...rendered } = await broker.call({
      op: 'begin-import',
      request,
      ticket: asked.ticket,
      head,
      rewind: asked.rewind ?? false,
      ...(asked.accept === undefined ? {} : { accept: asked.accept }),
    });
    return { key: { publicKey: request.publicKey, sealed }, ...rendered };
  }

  /** The machine that is here, if it stands still; or the one that will be. */
  async #planMachine(ticket: SignedExport, asked: ImportSnapshot): Promise<{ machine: Machine; isNew: boolean }> {
    const id = machineIdSchema.parse(ticket.machine.id);
    const { store } = this.#parts;
    const here = await store.findMachine(id);
    if (here !== undefined) {
      refuseRunning(here, 'goes back');
      return { machine: here, isNew: false };
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
    const machine: Machine = {
      ...{ id, name, tenant: TENANT, version: 1, createdAt: new Date().toISOString() },
      spec: { ...spec.data, isolation: 'vm', running: false, encryption },
      status: { ...QUIET, phase: 'stopped', reasons: [CAME] },
    };
    return { machine, isNew: true };
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

/** The head of what has come, once the warden has all of it and says that it is whole. */
async function carryObject(client: Duplex, warden: Duplex): Promise<string> {
  for await (const line of carry(client, warden, LINE_LIMIT_BYTES)) {
    const message = receivedSchema.parse(line);
    if ('done' in message) return message.done.head;
    const { code, message: text, hint } = message.error;
    throw RingwallError.fromBody({ code, message: text, ...(hint === undefined ? {} : { hint }) });
  }
  throw new RingwallError('warden-unavailable', 'the warden ended in the middle of the import', {
    hint: 'nothing of it is left: import it again',
  });
}
