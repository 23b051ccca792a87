// What every piece of work on a machine shares: its parts, calls that wait for a process that is being restarted, and
// changes of the machine's record by compare-and-set.
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, type Machine, type MachineId, type ProcessName, RingwallError } from '@ringwall/api';
import type { MachineChange, NewEvent, Store } from '../store/index.ts';
import type { BrokerClient, WardenClient } from './clients.ts';
import type { Networks } from '../networks/index.ts';
import type { Observer } from './observer.ts';
import type { OperationHandle } from './operations.ts';
import type { Timing } from './timing.ts';
import type { Watches } from './watches.ts';

export interface WorkParts {
  readonly store: Store;
  readonly warden: WardenClient;
  readonly broker: BrokerClient;
  readonly observer: Observer;
  readonly watches: Watches;
  readonly networks: Networks;
  readonly timing: Timing;
  /** One line to the daemon's log. */
  readonly note: (line: string) => void;
}

/** One piece of work: for whom progress is told, and when it is to be broken off. */
export interface Work extends WorkParts {
  readonly progress: Pick<OperationHandle, 'step'>;
  readonly signal: AbortSignal;
}

const UNAVAILABLE: ReadonlyMap<ErrorCode, ProcessName> = new Map([
  ['warden-unavailable', 'ringwall-warden'],
  ['broker-unavailable', 'ringwall-broker'],
]);

/** A sentence of a guest or of another process, as it is stored and shown. */
const SENTENCE_LIMIT_CHARACTERS = 300;

/** Changes are small and rare; losing this often against another change is a defect. */
const CHANGE_ATTEMPTS = 20;

export function isUnavailable(error: unknown): boolean {
  return awaitedBy(error) !== undefined;
}

/** The process that does not answer, where that is what the error says. */
function awaitedBy(error: unknown): ProcessName | undefined {
  return error instanceof RingwallError ? UNAVAILABLE.get(error.code) : undefined;
}

/** Says what is waited for, so that whoever watches can start it. */
export function tellWaiting(progress: Work['progress'], error: RingwallError, fraction?: number): void {
  progress.step(`waiting: ${error.message}`, fraction, awaitedBy(error));
}

/** Repeats a call, every one of which may be repeated, while the other side is being restarted. */
export async function patiently<T>(work: Work, call: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + work.timing.patienceMs;
  for (;;) {
    work.signal.throwIfAborted();
    try {
      return await call();
    } catch (error) {
      work.signal.throwIfAborted();
      if (!(error instanceof RingwallError) || !isUnavailable(error) || performance.now() > deadlineMs) throw error;
      tellWaiting(work.progress, error);
    }
    await sleep(work.timing.patienceStepMs, undefined, { signal: work.signal });
  }
}

/** As `patiently`, for what makes room: where the other side finds none, the daemon's reserve is given up for it. */
export async function insistently<T>(work: Work, call: () => Promise<T>): Promise<T> {
  try {
    return await patiently(work, call);
  } catch (error) {
    const full = error instanceof RingwallError && error.code === 'host-full';
    if (!full || !work.store.makeRoom()) throw error;
    return patiently(work, call);
  }
}

export async function changeMachine(
  store: Store,
  id: MachineId,
  change: (machine: Machine) => MachineChange,
  event?: NewEvent,
): Promise<Machine> {
  for (let attempt = 1; ; attempt++) {
    const machine = await store.findMachine(id);
    if (machine === undefined) throw new RingwallError('not-found', `no machine ${id}`);
    try {
      return await store.updateMachine(id, machine.version, change(machine), event);
    } catch (error) {
      const overtaken = error instanceof RingwallError && error.code === 'conflict';
      if (!overtaken || attempt === CHANGE_ATTEMPTS) throw error;
    }
  }
}

export function asRingwallError(error: unknown): RingwallError {
  if (error instanceof RingwallError) return error;
  return new RingwallError('internal', 'ringwalld made a mistake', {
    hint: 'its log says more; please report it',
    cause: error,
  });
}

/** Text of others made one line that does nothing to a terminal. */
export function cleanSentence(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is to be taken out
  const line = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ').trim();
  return line.length > SENTENCE_LIMIT_CHARACTERS ? `${line.slice(0, SENTENCE_LIMIT_CHARACTERS)}…` : line;
}
