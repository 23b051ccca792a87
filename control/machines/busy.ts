// What may be asked of a machine while something is done with it.
import { RingwallError, type Machine } from '@ringwall/api';
import type { JobKind } from './jobs.ts';
import type { WorkRequest } from './worker.ts';

/** What somebody may ask for while something else is being done, which is then cancelled. */
const MAY_CANCEL: Record<WorkRequest['kind'], ReadonlySet<JobKind>> = {
  'machine.create': new Set(),
  'machine.start': new Set(),
  'machine.stop': new Set<JobKind>(['start', 'snapshot']),
  'machine.remove': new Set<JobKind>(['create', 'start', 'stop', 'snapshot']),
  'machine.snapshot': new Set(),
  'machine.restore': new Set(),
  'template.hold': new Set(),
};

/** Whether it is to be done once that has ended by itself. What somebody stops is saved first, where that was asked for before. */
export function waitsFor(job: JobKind, request: WorkRequest): boolean {
  return job === 'snapshot' && request.kind === 'machine.stop' && !request.force;
}

/** Throws `conflict` where what is done must end first. */
export function refuseWhileBusy({ name }: Machine, job: JobKind, asked: WorkRequest['kind']): void {
  if (MAY_CANCEL[asked].has(job)) return;
  const doing = {
    ...{ create: 'made', start: 'started', stop: 'stopped', remove: 'removed', tidy: 'ended' },
    ...{ snapshot: 'saved', restore: 'put back', hold: 'made a template of' },
  }[job];
  throw new RingwallError('conflict', `${name} is being ${doing}`, { hint: 'wait until that has ended' });
}
