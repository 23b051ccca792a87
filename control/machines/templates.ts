// Templates: snapshots whose memory the warden holds, so that clones go on from it. The daemon writes nothing of them down: what is held is
// what the warden says, and a warden that was started anew holds nothing.
import { type Machine, type MachineId, RingwallError, type SnapshotId } from '@ringwall/api';
import type { Snapshot } from '@ringwall/api/snapshots';
import type { HeldTemplate, ShownTemplate } from '@ringwall/api/templates';
import { interruptionOf } from './interrupted.ts';
import { requireMachine, type Outcome } from './lifecycle.ts';
import { askBases } from './snapshot.ts';
import { findNamed, findSnapshot } from './snapshots.ts';
import { CALL_TIMEOUT_MS } from './timing.ts';
import { asRingwallError, patiently, type Work, type WorkParts } from './work.ts';

const MIB = 2 ** 20;

type Parts = Pick<WorkParts, 'store' | 'warden'>;

export interface HoldRequest {
  readonly snapshot: SnapshotId;
}

export class Templates {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Those that were held first, first. */
  async list(): Promise<ShownTemplate[]> {
    const { store, warden } = this.#parts;
    const [{ templates }, snapshots, machines] = await Promise.all([
      warden.call({ op: 'list-templates' }),
      store.snapshots.list(),
      store.listMachines(),
    ]);
    const names = new Map(machines.map(({ id, name }) => [id, name]));
    return templates.flatMap(({ snapshot, machine, machines: clones, ...held }) => {
      const [machineName, known] = [names.get(machine), snapshots.find(({ id }) => id === snapshot)];
      if (machineName === undefined || known === undefined) return []; // it is being removed
      return [
        { ...held, machineName, sequence: known.sequence, machines: clones.flatMap((id) => names.get(id) ?? []) },
      ];
    });
  }

  async release(name: string): Promise<void> {
    const { store, warden } = this.#parts;
    const { id: snapshot, machine } = await findNamed({ store }, name);
    const { templates } = await warden.call({ op: 'list-templates' });
    if (templates.every((held) => held.snapshot !== snapshot)) {
      throw new RingwallError('not-found', `${name} is not held in memory`, {
        hint: 'see what is: ringwall template ls',
      });
    }
    await warden.call({ op: 'release-template', snapshot });
    await store.appendEvent({ kind: 'template.released', machine, message: `the memory of ${name} is held no more` });
  }
}

/** Decrypts its memory, once. */
export async function holdTemplate(work: Work, id: MachineId, { snapshot }: HoldRequest): Promise<Outcome> {
  const { name: machineName } = await requireMachine(work, id);
  try {
    const known = (await work.store.snapshots.list(id)).find((each) => each.id === snapshot);
    if (known === undefined) throw new RingwallError('not-found', `the snapshot of ${machineName} is gone`);
    const name = `${machineName}@${String(known.sequence)}`;
    const already = await findTemplate(work, snapshot);
    const held = already ?? (await patiently(work, () => hold(work, id, snapshot, name)));
    const size = `${String(Math.ceil(held.heldBytes / MIB))} MiB of this host’s memory`;
    if (already !== undefined) return { done: `is held already, in ${size}` };
    await work.store.appendEvent({ kind: 'template.held', machine: id, message: `${name} is held, in ${size}` });
    return { done: `is held, in ${size}, in clear; clones go on from it: ringwall clone ${name} --live` };
  } catch (error) {
    if (interruptionOf(work.signal)?.reason === 'shutdown') return { leave: true };
    return { failed: asRingwallError(error) };
  }
}

/** Before its key is said to be destroyed: what is held in clear is gone first. Of a snapshot, or of all of a machine. */
export async function releaseTemplates(
  { warden }: Pick<WorkParts, 'warden'>,
  of: { readonly snapshot: SnapshotId } | { readonly machine: MachineId },
): Promise<void> {
  const { templates } = await warden.call({ op: 'list-templates' });
  for (const { snapshot, machine } of templates) {
    if ('snapshot' in of ? of.snapshot !== snapshot : of.machine !== machine) continue;
    await warden.call({ op: 'release-template', snapshot });
  }
}

/** The one with this number, else the newest that is held; a machine can go on from no other. */
export async function findHeld(
  { store, warden }: Parts,
  machine: Pick<Machine, 'id' | 'name'>,
  sequence?: number,
): Promise<Snapshot> {
  const { templates } = await warden.call({ op: 'list-templates' });
  const isHeld = ({ id }: Snapshot): boolean => templates.some(({ snapshot }) => snapshot === id);
  const wanted = await findSnapshot({ store }, machine, sequence);
  const found = sequence === undefined ? (await store.snapshots.list(machine.id)).find(isHeld) : wanted;
  if (found !== undefined && isHeld(found)) return found;
  const name = `${machine.name}@${String(wanted.sequence)}`;
  const what = sequence === undefined ? `no snapshot of ${machine.name} is` : `${name} is not`;
  throw new RingwallError('conflict', `${what} held in memory`, {
    hint: `hold it: ringwall template hold ${name}; a warden that was started anew has forgotten what it held`,
  });
}

async function findTemplate({ warden }: Pick<Work, 'warden'>, snapshot: SnapshotId): Promise<HeldTemplate | undefined> {
  return (await warden.call({ op: 'list-templates' })).templates.find((held) => held.snapshot === snapshot);
}

async function hold(work: Work, machine: MachineId, snapshot: SnapshotId, name: string): Promise<HeldTemplate> {
  work.progress.step(`asking the broker for the key of ${name}`);
  const ancestors = await askBases(work, machine, snapshot);
  const asked = { op: 'ask-snapshot-key', snapshot, machine, use: 'template' } as const;
  const { request } = await work.warden.call(asked, { signal: work.signal });
  const { sealed, root } = await work.broker.call({ op: 'hold-template', request }, { signal: work.signal });
  const key = { publicKey: request.publicKey, sealed };
  return work.warden.call(
    { op: 'hold-template', machine, snapshot, root, key, ancestors },
    {
      timeoutMs: CALL_TIMEOUT_MS['hold-template'],
      signal: work.signal,
      onProgress: ({ step, fraction }) => work.progress.step(step, fraction),
    },
  );
}
