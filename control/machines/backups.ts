// Snapshots that are taken by themselves: of each machine that has a plan, when one is due, and then those go that its plan does not
// keep. What a person has asked for stays until a person removes it.
import { type Machine, RingwallError } from '@ringwall/api';
import type { BackupPlan } from '@ringwall/api/backups';
import type { ShownSnapshot } from '@ringwall/api/snapshots';
import type { Machines } from './machines.ts';
import { expiredOf, isDue } from './retention.ts';
import { removable } from './snapshot-chain.ts';
import type { Snapshots } from './snapshots.ts';
import { changeMachine, type WorkParts } from './work.ts';

/** A plan is of minutes. */
const LOOK_MS = 30_000;
const MINUTE_MS = 60_000;
/** Before one that failed is tried again: whatever was in the way (a full disk, a machine that cannot be saved) stays a while. */
const RETRY_MS: number = 15 * MINUTE_MS;

interface Parts {
  readonly machines: Pick<Machines, 'find' | 'list' | 'snapshot'>;
  readonly snapshots: Pick<Snapshots, 'list' | 'remove'>;
  readonly store: WorkParts['store'];
  readonly note: (line: string) => void;
}

export class Backups {
  readonly #parts: Parts;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** When one was begun last of each machine; what comes of it is an operation, which says so itself. */
  readonly #begunAtMs = new Map<string, number>();
  /** What was said last of each machine: a trouble that lasts is told once. */
  readonly #said = new Map<string, string>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Looks every half minute until it is closed; one look at a time. */
  open(): void {
    let busy = false;
    this.#timer = setInterval(() => {
      if (busy) return;
      busy = true;
      this.#looking = this.look(new Date()).finally(() => (busy = false));
    }, LOOK_MS);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Null takes the plan away; what was taken stays. */
  async plan(name: string, plan: BackupPlan | null): Promise<Machine> {
    const { machines, store } = this.#parts;
    const { id } = await machines.find(name);
    await changeMachine(store, id, ({ spec }) => ({ spec: { ...spec, backups: plan ?? undefined } }), {
      kind: 'machine.backups-planned',
      machine: id,
      message: plan === null ? 'no backups' : sentenceOf(plan),
    });
    return machines.find(id);
  }

  /** Never rejects. A machine that does not run has nothing new to save. */
  async look(now: Date): Promise<void> {
    const { machines, snapshots } = this.#parts;
    try {
      const planned = (await machines.list()).filter(({ spec }) => spec.backups !== undefined);
      if (planned.length === 0) return;
      const all = await snapshots.list();
      for (const machine of planned) {
        const its = all.filter((each) => each.machine === machine.id);
        await this.#lookAt(machine, its, now).then(
          () => this.#said.delete(machine.id),
          (error: unknown) => this.#say(machine, error),
        );
      }
    } catch (error) {
      this.#parts.note(`backups could not be looked at: ${messageOf(error)}`);
    }
  }

  async #lookAt(machine: Machine, all: readonly ShownSnapshot[], now: Date): Promise<void> {
    const { machines, snapshots } = this.#parts;
    const plan = machine.spec.backups;
    if (plan === undefined) return;
    const dated = all
      .filter(({ scheduled }) => scheduled === true)
      .map((snapshot) => ({ snapshot, takenAt: new Date(snapshot.createdAt) }));
    const expired = expiredOf(dated, plan.keep).map(({ snapshot }) => snapshot);
    for (const { machineName, sequence } of removable(expired, all)) {
      await snapshots.remove(`${machineName}@${String(sequence)}`);
    }
    if (machine.status.phase !== 'running' || machine.status.trust === 'quarantined') return;
    const taken = dated.map(({ takenAt }) => takenAt);
    if (!isDue(taken, plan.everyMinutes * MINUTE_MS, now)) return;
    const sinceMs = now.getTime() - (this.#begunAtMs.get(machine.id) ?? -Infinity);
    if (sinceMs >= 0 && sinceMs < RETRY_MS) return;
    await machines.snapshot(machine.id, { scheduled: true });
    this.#begunAtMs.set(machine.id, now.getTime());
  }

  #say(machine: Machine, error: unknown): void {
    // Something else is being done to it: the next look is soon.
    if (error instanceof RingwallError && error.code === 'conflict') return;
    const said = `${machine.name} is not backed up: ${messageOf(error)}`;
    if (this.#said.get(machine.id) === said) return;
    this.#said.set(machine.id, said);
    this.#parts.note(said);
  }
}

function sentenceOf({ everyMinutes, keep }: BackupPlan): string {
  const kept = Object.entries(keep).map(([kind, count]) => `${kind}=${String(count)}`);
  return `a snapshot every ${String(everyMinutes)} min, keeping ${kept.length === 0 ? 'the newest' : kept.join(', ')}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
