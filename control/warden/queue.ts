// One queue for each machine: what changes a machine happens one after the other, while machines do not wait for each
// other. So two starts at once, or a start during a stop, need no further thought.

/** Requests of one machine that wait; ringwalld asks for one thing at a time, so that many are a defect of its. */
export const QUEUE_LIMIT_REQUESTS: number = 16;

export class Queues {
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #waiting = new Map<string, number>();
  readonly #limitRequests: number;
  readonly #tooMany: (key: string) => Error;

  constructor(tooMany: (key: string) => Error, limitRequests = QUEUE_LIMIT_REQUESTS) {
    this.#tooMany = tooMany;
    this.#limitRequests = limitRequests;
  }

  /** True while something of this key runs or waits. */
  busy(key: string): boolean {
    return this.#tails.has(key);
  }

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const waiting = this.#waiting.get(key) ?? 0;
    if (waiting >= this.#limitRequests) throw this.#tooMany(key);
    this.#waiting.set(key, waiting + 1);
    const before = this.#tails.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#tails.set(key, mine);
    try {
      return await mine;
    } finally {
      const left = (this.#waiting.get(key) ?? 1) - 1;
      if (left === 0) this.#waiting.delete(key);
      else this.#waiting.set(key, left);
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    }
  }

  /** Waits until nothing runs any more: for an orderly end. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.allSettled(this.#tails.values());
  }
}
