// Threads that are kept for a while, for work of several steps of which each would take less than a thread takes to start: a
// machine's memory is copied, sealed and looked at by the same ones. Whoever borrows a crew has it alone: that one machine stands still
// never waits for what is done for another.
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import type { CrewOrder } from './crew-order.ts';
import { endThread } from './end-thread.ts';
import { failureOf, type Failure } from './failure.ts';
import { startWorker } from './start-worker.ts';

/** Above this, threads wait for memory and not for each other. */
const MAX_THREADS = 8;
/**
 * Whoever comes soon after finds them there. Each holds some megabytes, and what its last order named until it collects its garbage,
 * which it does not while nobody tells it anything.
 */
const IDLE_MS = 5_000;

/** To be given back once it has done all that it was told. */
export interface Crew extends Disposable {
  /**
   * Each thread gets the order, and all have answered when this is fulfilled: what the order names may be closed then. Gives why threads
   * have failed. `onFailure` is called as soon as one has, in whatever way: where threads wait for each other, it tells the others.
   */
  readonly run: (order: CrewOrder, onFailure?: () => void) => Promise<readonly Failure[]>;
}

/** Its threads start now, where none is idle. */
export function borrowCrew(): Crew {
  const threads = idle.pop();
  return lend(threads ?? new Threads());
}

/** For one who will borrow a crew in a moment: its threads start while others still work for it. */
export function warmCrew(): void {
  borrowCrew()[Symbol.dispose]();
}

const idle: Threads[] = [];

function lend(threads: Threads): Crew {
  threads.stay();
  let isBack = false;
  return {
    run: (order, onFailure) => threads.run(order, onFailure),
    [Symbol.dispose]: () => {
      if (isBack) return;
      isBack = true;
      if (threads.haveEnded) return;
      idle.push(threads);
      threads.leaveLater(() => idle.splice(idle.indexOf(threads), 1));
    },
  };
}

class Threads {
  readonly #threads: readonly Thread[];
  #leaving: NodeJS.Timeout | undefined;

  constructor() {
    this.#threads = Array.from({ length: Math.min(availableParallelism(), MAX_THREADS) }, () => new Thread());
  }

  get haveEnded(): boolean {
    return this.#threads.some(({ hasEnded }) => hasEnded);
  }

  async run(order: CrewOrder, onFailure?: () => void): Promise<readonly Failure[]> {
    const answers = await Promise.all(
      this.#threads.map(async (thread) => {
        const failure = await thread.run(order);
        if (failure !== undefined) onFailure?.();
        return failure;
      }),
    );
    return answers.filter((failure) => failure !== undefined);
  }

  stay(): void {
    clearTimeout(this.#leaving);
  }

  leaveLater(onLeave: () => void): void {
    this.#leaving = setTimeout(() => {
      onLeave();
      for (const thread of this.#threads) thread.end();
    }, IDLE_MS).unref();
  }
}

class Thread {
  readonly #worker: Worker = startWorker('threads/crew-worker', {});
  readonly #waiting: ((failure: Failure | undefined) => void)[] = [];
  #end: Failure | undefined;

  constructor() {
    this.#worker.on('message', (failure: Failure | undefined) => {
      this.#waiting.shift()?.(failure);
      if (this.#waiting.length === 0) this.#worker.unref();
    });
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', (code) => this.#fail(new Error(`a thread has ended with ${String(code)}`)));
    // Whoever has nothing else to do need not wait for threads that have none either.
    this.#worker.unref();
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  run(order: CrewOrder): Promise<Failure | undefined> {
    if (this.#end !== undefined) return Promise.resolve(this.#end);
    this.#worker.ref();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
      this.#worker.postMessage(order);
    });
  }

  end(): void {
    void endThread(this.#worker);
  }

  #fail(error: unknown): void {
    this.#end ??= failureOf(error);
    for (const resolve of this.#waiting.splice(0)) resolve(this.#end);
  }
}
