// What the daemon does with a machine when it comes up and finds its last life's state on one side and what the warden
// sees on the other. Pure: the table of cases is the test.
import type { Machine, Operation } from '@ringwall/api';
import type { RunningMachine } from '@ringwall/api/warden';

export interface AdoptionCase {
  readonly machine: Machine;
  /** The newest operation on it that had not ended. */
  readonly operation: Operation | undefined;
  readonly seen: RunningMachine | undefined;
  /** The host has booted since the daemon last ran: nothing of before can run. */
  readonly hostRestarted: boolean;
}

export type Adoption =
  /** Goes on with the operation from its beginning; every step of it may be repeated. */
  | { readonly do: 'resume' }
  /** The operation had done its work, only its end was not written. */
  | { readonly do: 'close-operation' }
  /** It runs as it did: watch it. */
  | { readonly do: 'watch' }
  /** It should run, and does not for a reason that is not its own: start it. */
  | { readonly do: 'start' }
  /** It ended while nobody looked. */
  | { readonly do: 'ended' }
  /** Something of it is there and should not be: end it. */
  | { readonly do: 'end-stray' }
  | { readonly do: 'nothing' };

export function decideAdoption({ machine, operation, seen, hostRestarted }: AdoptionCase): Adoption {
  const { phase, bootId } = machine.status;
  const runs = seen !== undefined && seen.state !== 'vmm-dead' && seen.boot === bootId;
  if (operation !== undefined) {
    const started = operation.kind === 'machine.start' || operation.kind === 'machine.create';
    return started && phase === 'running' && runs ? { do: 'close-operation' } : { do: 'resume' };
  }
  if (SHOULD_RUN.has(phase)) {
    if (runs) return { do: 'watch' };
    return hostRestarted && machine.spec.running && phase !== 'refused' ? { do: 'start' } : { do: 'ended' };
  }
  if (phase === 'creating' || phase === 'stopping') return { do: 'ended' };
  return seen !== undefined ? { do: 'end-stray' } : { do: 'nothing' };
}

const SHOULD_RUN: ReadonlySet<Machine['status']['phase']> = new Set(['running', 'refused', 'starting', 'attesting']);
