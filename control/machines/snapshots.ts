// The snapshots that there are, as the API asks for them. What takes one and what puts a machine back is work on the machine:
// snapshot.ts.
import { type MachineId, RingwallError } from '@ringwall/api';
import type { ShownSnapshot, Snapshot, SnapshotReport } from '@ringwall/api/snapshots';
import { checkMachineReference } from './names.ts';
import { chainOf, continuersOf } from './snapshot-chain.ts';
import { releaseTemplates } from './templates.ts';
import { CALL_TIMEOUT_MS } from './timing.ts';
import type { WorkParts } from './work.ts';

type Parts = Pick<WorkParts, 'store' | 'warden' | 'broker'>;

export class Snapshots {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The newest of each machine first. */
  async list(): Promise<ShownSnapshot[]> {
    const { store } = this.#parts;
    const [snapshots, machines] = await Promise.all([store.snapshots.list(), store.listMachines()]);
    const names = new Map(machines.map(({ id, name }) => [id, name]));
    return snapshots.flatMap((snapshot) => {
      const machineName = names.get(snapshot.machine);
      return machineName === undefined ? [] : [{ ...snapshot, machineName }];
    });
  }

  /** Whether it lies there as it was sealed, and all that it continues: every byte is read, none decrypted. */
  async check(name: string): Promise<SnapshotReport> {
    const { store, warden } = this.#parts;
    const snapshot = await findNamed(this.#parts, name);
    let records = 0;
    let parent: string | undefined;
    for (const { id, machine, root, sequence } of chainOf(snapshot, await store.snapshots.list(snapshot.machine))) {
      const report = await warden.call(
        { op: 'check-snapshot', machine, snapshot: id, root, ...(parent === undefined ? {} : { parent }) },
        { timeoutMs: CALL_TIMEOUT_MS['check-snapshot'] },
      );
      records += report.records;
      if (!report.whole) return id === snapshot.id ? report : below(sequence, report);
      parent = root;
    }
    return { whole: true, records, damaged: 0, at: [] };
  }

  /** What is held of it in clear goes first, then the key: where the rest fails, what is left is noise. */
  async remove(name: string): Promise<void> {
    const { store, warden, broker } = this.#parts;
    const snapshot = await findNamed(this.#parts, name);
    const { id, machine } = snapshot;
    const continuers = continuersOf(snapshot, await store.snapshots.list(machine));
    if (continuers.length > 0) {
      const those = continuers.map(({ sequence }) => `@${String(sequence)}`).join(', ');
      throw new RingwallError(
        'conflict',
        `${name} is needed: ${those} ${continuers.length > 1 ? 'continue' : 'continues'} it`,
        {
          hint: 'remove what continues it first, the newest first',
        },
      );
    }
    await releaseTemplates({ warden }, { snapshot: id });
    await broker.call({ op: 'forget-snapshot', snapshot: id });
    await warden.call({ op: 'remove-snapshot', machine, snapshot: id });
    await store.snapshots.delete(snapshot, {
      kind: 'snapshot.removed',
      machine,
      message: `${name} was removed, and its key destroyed`,
    });
  }
}

/** By `NAME@NUMBER`. */
export async function findNamed(parts: Pick<Parts, 'store'>, name: string): Promise<Snapshot> {
  const [, machineName = '', number = ''] = /^([^@]*)@(\d{1,9})$/.exec(name) ?? [];
  if (machineName === '') {
    throw new RingwallError('bad-request', `${JSON.stringify(name.slice(0, 128))} names no snapshot`, {
      hint: 'a snapshot is named by its machine and its number, as in web@3',
    });
  }
  checkMachineReference(machineName);
  const machine = await parts.store.findMachine(machineName);
  if (machine === undefined) throw new RingwallError('not-found', `there is no machine ${machineName}`);
  return findSnapshot(parts, machine, Number(number));
}

function below(sequence: number, report: SnapshotReport): SnapshotReport {
  const why = report.reason ?? `${String(report.damaged)} of its records are damaged`;
  return { ...report, reason: `@${String(sequence)}, which it continues, is not whole: ${why}` };
}

/** The one with this number, else the newest. */
export async function findSnapshot(
  { store }: Pick<Parts, 'store'>,
  machine: { readonly id: MachineId; readonly name: string },
  sequence?: number,
): Promise<Snapshot> {
  const all = await store.snapshots.list(machine.id);
  const found = sequence === undefined ? all[0] : all.find((each) => each.sequence === sequence);
  if (found !== undefined) return found;
  const what = sequence === undefined ? `no snapshot of ${machine.name}` : `no ${machine.name}@${String(sequence)}`;
  throw new RingwallError('not-found', `there is ${what}`, { hint: 'see which there are: ringwall snapshot ls' });
}
