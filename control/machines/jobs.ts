// One queue for each machine: what is done to it is done one after the other. At most one job works and one waits.
import type { MachineId } from '@ringwall/api';
import { Interrupted } from './interrupted.ts';
import type { OperationHandle } from './operations.ts';

/** `tidy`: the daemon's own work, which gives way to whatever somebody asks for. */
export type JobKind = 'create' | 'start' | 'stop' | 'remove' | 'snapshot' | 'restore' | 'hold' | 'tidy';

export interface Job {
  readonly kind: JobKind;
  readonly handle: OperationHandle | undefined;
  readonly settled: Promise<void>;
}

interface OwnJob extends Job {
  readonly controller: AbortController;
  /** What it waits for, until that has ended. */
  after: OwnJob | undefined;
}

export interface NewJob {
  readonly kind: JobKind;
  readonly handle: OperationHandle | undefined;
  /** For the end of the job before it, which is not cancelled. */
  readonly waits?: boolean;
}

export class Jobs {
  readonly #last: Map<MachineId, OwnJob> = new Map();
  readonly #closing = new AbortController();
  readonly #onSettled: (machine: MachineId) => void;

  /** `onSettled`: a machine has no job any more. */
  constructor(onSettled: (machine: MachineId) => void) {
    this.#onSettled = onSettled;
  }

  /** The job that was asked for last and has not ended. */
  current(machine: MachineId): Job | undefined {
    return this.#last.get(machine);
  }

  /** Whether that job has not begun, because another is to end before it. */
  waits(machine: MachineId): boolean {
    return this.#last.get(machine)?.after !== undefined;
  }

  /** Aborted once the daemon ends. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Runs `body` after the job before it, which is cancelled, with what that waits for. `body` throws nothing. */
  replace(
    machine: MachineId,
    { kind, handle, waits = false }: NewJob,
    body: (signal: AbortSignal) => Promise<void>,
  ): Job {
    const previous = this.#last.get(machine);
    if (!waits) {
      for (const job of [previous, previous?.after]) job?.controller.abort(new Interrupted('cancelled'));
    }
    const controller = new AbortController();
    if (this.#closing.signal.aborted) controller.abort(this.#closing.signal.reason);
    const settled = (previous?.settled ?? Promise.resolve()).then(() => {
      job.after = undefined;
      return body(controller.signal);
    });
    const job: OwnJob = {
      kind,
      handle,
      controller,
      after: waits ? previous : undefined,
      settled: settled.finally(() => {
        if (this.#last.get(machine) !== job) return;
        this.#last.delete(machine);
        this.#onSettled(machine);
      }),
    };
    this.#last.set(machine, job);
    return job;
  }

  /** Breaks off every job and waits for it; the store keeps what was to be done. */
  async close(): Promise<void> {
    const reason = new Interrupted('shutdown');
    this.#closing.abort(reason);
    const jobs = [...this.#last.values()].flatMap((job) => (job.after === undefined ? [job] : [job.after, job]));
    for (const job of jobs) job.controller.abort(reason);
    await Promise.allSettled(jobs.map((job) => job.settled));
  }
}
