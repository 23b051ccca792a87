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

  /** Aborted once the daemon ends. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Runs `body` after the job before it, which is cancelled. `body` throws nothing. */
  replace(
    machine: MachineId,
    kind: JobKind,
    handle: OperationHandle | undefined,
    body: (signal: AbortSignal) => Promise<void>,
  ): Job {
    const previous = this.#last.get(machine);
    previous?.controller.abort(new Interrupted('cancelled'));
    const controller = new AbortController();
    if (this.#closing.signal.aborted) controller.abort(this.#closing.signal.reason);
    const settled = (previous?.settled ?? Promise.resolve()).then(() => body(controller.signal));
    const job: OwnJob = {
      kind,
      handle,
      controller,
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
    const jobs = [...this.#last.values()];
    for (const job of jobs) job.controller.abort(reason);
    await Promise.allSettled(jobs.map((job) => job.settled));
  }
}
