// Long work, as others see it: what is being done now, how far it is, and how it ended. The beginning and the end are
// in the store; what lies between changes several times a second and lives in memory.
import {
  type MachineId,
  newOperationId,
  type Operation,
  type OperationId,
  type ProcessName,
  type RingwallError,
} from '@ringwall/api';
import type { Store } from '../store/index.ts';

/** A step is one line on a terminal; the warden's are short, and this holds whatever comes. */
const STEP_LIMIT_CHARACTERS = 200;

export interface OperationSubject {
  readonly kind: Operation['kind'];
  readonly machine?: MachineId;
}

export class Operations {
  readonly #store: Store;
  readonly #note: (line: string) => void;
  readonly #running: Map<OperationId, OperationHandle> = new Map();
  /** On their way to the store. */
  readonly #beginning: Set<OperationId> = new Set();

  constructor(store: Store, note: (line: string) => void) {
    this.#store = store;
    this.#note = note;
  }

  /** How many are under way. */
  get running(): number {
    return [...this.#running.values()].filter(({ operation }) => operation.state === 'running').length;
  }

  /** A new operation that is in no store yet: `insertMachine` or `begin` puts it there. */
  describe(subject: OperationSubject, step: string): Operation {
    const at = new Date().toISOString();
    return { id: newOperationId(), ...subject, state: 'running', step, createdAt: at, updatedAt: at };
  }

  async begin(subject: OperationSubject, step: string, request: unknown): Promise<OperationHandle> {
    const operation = this.describe(subject, step);
    this.#beginning.add(operation.id);
    try {
      await this.#store.insertOperation(operation, request);
      return this.take(operation);
    } finally {
      this.#beginning.delete(operation.id);
    }
  }

  /** Whether this life of the daemon works on it, or is about to: what else is in the store is of an earlier one. */
  has(id: OperationId): boolean {
    return this.#running.has(id) || this.#beginning.has(id);
  }

  /** Goes on with an operation that is in the store. */
  take(operation: Operation): OperationHandle {
    const handle = new OperationHandle(operation, (ended) => this.#finish(ended));
    this.#running.set(operation.id, handle);
    return handle;
  }

  async find(id: OperationId): Promise<Operation | undefined> {
    return this.#running.get(id)?.operation ?? (await this.#store.findOperation(id));
  }

  /** Calls at each change of a running operation, the end included. Dispose to stop. */
  watch(id: OperationId, watcher: (operation: Operation) => void): Disposable {
    return this.#running.get(id)?.watch(watcher) ?? { [Symbol.dispose]: () => {} };
  }

  async #finish(operation: Operation): Promise<void> {
    try {
      await this.#store.finishOperation(operation);
    } catch (error) {
      // A full disk: this life of the daemon knows the end, and the next one goes through the operation again.
      this.#note(`the end of ${operation.id} is not stored: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    this.#running.delete(operation.id);
  }
}

export class OperationHandle {
  #operation: Operation;
  readonly #finish: (operation: Operation) => Promise<void>;
  readonly #watchers: Set<(operation: Operation) => void> = new Set();
  #ending = false;

  constructor(operation: Operation, finish: (operation: Operation) => Promise<void>) {
    this.#operation = operation;
    this.#finish = finish;
  }

  get operation(): Operation {
    return this.#operation;
  }

  step(step: string, fraction?: number, waitsFor?: ProcessName): void {
    if (this.#ending) return;
    const { fraction: _, waitsFor: __, ...rest } = this.#operation;
    this.#change({
      ...rest,
      step: step.slice(0, STEP_LIMIT_CHARACTERS),
      ...(fraction === undefined ? {} : { fraction: Math.min(1, Math.max(0, fraction)) }),
      ...(waitsFor === undefined ? {} : { waitsFor }),
    });
  }

  async done(step: string): Promise<void> {
    await this.#end({ ...this.#operation, state: 'done', step, fraction: 1 });
  }

  async fail(error: RingwallError): Promise<void> {
    await this.#end({ ...this.#operation, state: 'failed', error: error.toBody() });
  }

  watch(watcher: (operation: Operation) => void): Disposable {
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  async #end(operation: Operation): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const { waitsFor: _, ...rest } = operation;
    const ended = { ...rest, updatedAt: new Date().toISOString() };
    await this.#finish(ended);
    this.#change(ended);
    this.#watchers.clear();
  }

  #change(operation: Operation): void {
    this.#operation = { ...operation, updatedAt: new Date().toISOString() };
    for (const watcher of this.#watchers) watcher(this.#operation);
  }
}
