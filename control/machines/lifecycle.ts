// The work behind create, start, stop and remove, each from its first step to the state that the machine is left in.
// Every step may be repeated: after a crash the whole of it is gone through again.
import { type DiskId, FOREIGN_IMAGE, type Machine, type MachineId, newBootId, RingwallError } from '@ringwall/api';
import { AttestationRefused } from './attest.ts';
import { bootMachine, endFailedBoot, waitForRefusalOnConsole } from './boot.ts';
import { copyDisk, type CloneSource } from './clone.ts';
import { interruptionOf } from './interrupted.ts';
import { goOnFromTemplate } from './live-clone.ts';
import type { OperationHandle } from './operations.ts';
import { QUIET, quietAfter } from './quarantine.ts';
import { releaseTemplates } from './templates.ts';
import { CALL_TIMEOUT_MS } from './timing.ts';
import { asRingwallError, changeMachine, insistently, patiently, type Work } from './work.ts';

/** What a job has come to: what its operation ends with, and whether the warden still has something to end. */
export interface Outcome {
  readonly done?: string;
  readonly failed?: RingwallError;
  readonly untidy?: true;
  /** The daemon ends: the operation stays as it is, and its next life goes on with it. */
  readonly leave?: true;
}

export interface CreateRequest {
  readonly start: boolean;
  /** Where its disk is a copy of another's. */
  readonly from?: CloneSource;
}

export async function createMachine(work: Work, id: MachineId, request: CreateRequest): Promise<Outcome> {
  const machine = await requireMachine(work, id);
  const { from } = request;
  const isLive = from?.live === true;
  const { phase } = machine.status;
  if (phase === 'creating' || (isLive && phase === 'starting')) {
    try {
      const made = phase === 'creating' ? await makeMachine(work, machine, request) : machine;
      if (isLive) return { done: await goOnFromTemplate(work, made, from) };
    } catch (error) {
      if (interruptionOf(work.signal)?.reason === 'shutdown') return { leave: true };
      return { failed: await undoCreation(work, machine, request, interruptionOf(work.signal) ?? error) };
    }
  }
  return request.start ? startMachine(work, id) : { done: `${machine.name} is made` };
}

export async function startMachine(work: Work, id: MachineId): Promise<Outcome> {
  try {
    return { done: await bootMachine(work, id) };
  } catch (error) {
    return await endStart(work, id, error);
  }
}

export async function stopMachine(work: Work, id: MachineId, graceMs: number): Promise<Outcome> {
  // One that waited may be overtaken before it has begun.
  const overtaken = interruptionOf(work.signal);
  if (overtaken !== undefined) {
    return overtaken.reason === 'shutdown' ? { leave: true } : { failed: cancelled(await requireMachine(work, id)) };
  }
  const machine = await changeMachine(work.store, id, (seen) => ({
    spec: { ...seen.spec, running: false },
    status: { ...seen.status, phase: 'stopping' },
  }));
  try {
    await endMachine(work, machine, graceMs);
  } catch (error) {
    if (interruptionOf(work.signal)?.reason === 'shutdown') return { leave: true };
    const failed = interruptionOf(work.signal) === undefined ? asRingwallError(error) : cancelled(machine);
    await changeMachine(work.store, id, (seen) => ({
      status: { ...seen.status, phase: 'failed', trust: 'unknown', reasons: [`it was not stopped: ${failed.message}`] },
    }));
    return { failed, untidy: true };
  }
  await changeMachine(work.store, id, (seen) => ({ status: { ...quietAfter(seen.status), phase: 'stopped' } }), {
    kind: 'machine.stopped',
    machine: id,
    message: `${machine.name} was stopped`,
  });
  return { done: 'stopped' };
}

/** The key goes first: where the rest fails, what is left of the disk is noise. */
export async function removeMachine(work: Work, id: MachineId): Promise<Outcome> {
  const machine = await work.store.findMachine(id);
  if (machine === undefined) return { done: 'removed' };
  const runs = machine.status.phase !== 'stopped';
  try {
    if (runs) await insistently(work, () => work.broker.call({ op: 'check-forget', machine: id }));
  } catch (error) {
    // What cannot be removed runs on.
    const interruption = interruptionOf(work.signal);
    if (interruption?.reason === 'shutdown') return { leave: true };
    return { failed: interruption === undefined ? asRingwallError(error) : cancelled(machine) };
  }
  try {
    if (runs) await endMachine(work, machine, 0);
    await insistently(work, () => releaseTemplates(work, { machine: id }));
    work.progress.step('destroying the key of its disk');
    const keeps = await disksOf(work, machine);
    await insistently(work, () =>
      work.broker.call({ op: 'forget-machine', machine: id, keeps }, { signal: work.signal }),
    );
    work.progress.step('removing its disk and its TPM');
    await insistently(work, () => removeAtWarden(work, id));
  } catch (error) {
    if (interruptionOf(work.signal)?.reason === 'shutdown') return { leave: true };
    const failed = interruptionOf(work.signal) === undefined ? asRingwallError(error) : cancelled(machine);
    await changeMachine(work.store, id, (seen) => ({
      status: { ...seen.status, ...QUIET, phase: 'failed', reasons: [`it was not removed: ${failed.message}`] },
    }));
    return { failed };
  }
  await work.store.deleteMachine(id, {
    kind: 'machine.removed',
    machine: id,
    message: `${machine.name} was removed, and its key destroyed`,
  });
  work.networks.changed(machine, 'gone');
  return { done: 'removed' };
}

/** Sees to it that nothing runs of a machine that should not, however long the warden is away. */
export async function tidyMachine(work: Work, id: MachineId): Promise<Outcome> {
  for (;;) {
    try {
      const machine = await work.store.findMachine(id);
      if (machine !== undefined) await endMachine(work, machine, 0);
      return {};
    } catch (error) {
      if (interruptionOf(work.signal) !== undefined) return { leave: true };
      work.note(`${id} is not ended yet: ${asRingwallError(error).message}`);
      if (!(error instanceof RingwallError) || error.code !== 'warden-unavailable') return {};
    }
  }
}

export async function buildImage(work: Work, image: string, rebuild: boolean): Promise<void> {
  work.progress.step(`building image ${image}`);
  await patiently(work, () =>
    work.warden.call(
      { op: 'build-image', image, ...(rebuild ? { rebuild } : {}) },
      {
        timeoutMs: CALL_TIMEOUT_MS['build-image'],
        signal: work.signal,
        onProgress: ({ step, fraction }) => work.progress.step(`building image ${image}: ${step}`, fraction),
      },
    ),
  );
}

export function finishHandle(handle: OperationHandle, outcome: Outcome): Promise<void> {
  if (outcome.leave === true) return Promise.resolve();
  return outcome.failed === undefined ? handle.done(outcome.done ?? 'done') : handle.fail(outcome.failed);
}

export async function requireMachine(work: Work, id: MachineId): Promise<Machine> {
  const machine = await work.store.findMachine(id);
  if (machine === undefined) throw new RingwallError('not-found', `no machine ${id}`);
  return machine;
}

async function needImage(work: Work, name: string): Promise<void> {
  const { images } = await patiently(work, () => work.warden.call({ op: 'list-images' }, { signal: work.signal }));
  if (images.find((image) => image.name === name)?.built !== true) await buildImage(work, name, false);
}

async function makeMachine(work: Work, machine: Machine, { from }: CreateRequest): Promise<Machine> {
  const { id, name, spec } = machine;
  if (spec.image !== FOREIGN_IMAGE) await needImage(work, spec.image);
  work.progress.step('making its disk and its TPM');
  const { image, cpus, memoryMiB, diskMiB, disks, network, encryption, clones } = spec;
  const identity = await patiently(work, () =>
    work.warden.call(
      {
        op: 'create-machine',
        machine: id,
        spec: {
          ...{ image, cpus, memoryMiB, diskMiB },
          ...(disks === undefined ? {} : { disks }),
          ...(network === undefined ? {} : { network }),
        },
      },
      { timeoutMs: CALL_TIMEOUT_MS['create-machine'], signal: work.signal },
    ),
  );
  work.progress.step('making its key, bound to its TPM');
  await patiently(work, () =>
    work.broker.call(
      { op: 'register-machine', machine: id, name, ...identity, encryption, ...(clones && { clones }) },
      { signal: work.signal },
    ),
  );
  // A live one gets its disk with its memory. What is written down first is the boot in which it does.
  const isLive = from?.live === true;
  if (from !== undefined && !isLive) await copyDisk(work, machine, from);
  const status = isLive ? ({ phase: 'starting', bootId: newBootId() } as const) : ({ phase: 'stopped' } as const);
  return changeMachine(work.store, id, () => ({ status: { ...QUIET, ...status } }), {
    kind: 'machine.made',
    machine: id,
    message: `${name} has its disk, its TPM and its key`,
  });
}

/** Imported disks outlive the machine that has them. */
async function disksOf({ store }: Work, { spec }: Machine): Promise<{ readonly id: DiskId; readonly name: string }[]> {
  const disks = await Promise.all((spec.disks ?? []).map((id) => store.disks.find(id)));
  return disks.flatMap((disk) => (disk === undefined ? [] : [{ id: disk.id, name: disk.name }]));
}

/** Nothing is left behind of a machine that could not be made. Where that fails, its record stays, to be removed. */
async function undoCreation(
  work: Work,
  machine: Machine,
  { from }: CreateRequest,
  error: unknown,
): Promise<RingwallError> {
  const { id, name } = machine;
  const failed = interruptionOf(work.signal) === undefined ? asRingwallError(error) : cancelled(machine);
  try {
    const unsignalled = { ...work, signal: new AbortController().signal };
    // One that goes on from memory may run by now, whatever failed behind that.
    if (from?.live === true) await endMachine(unsignalled, machine, 0);
    await work.broker.call({ op: 'forget-machine', machine: id, keeps: [] });
    await removeAtWarden(unsignalled, id);
    await work.store.deleteMachine(id, {
      kind: 'machine.not-made',
      machine: id,
      message: `${name} could not be made: ${failed.message}`,
    });
    work.networks.changed(machine, 'gone');
  } catch (undoError) {
    work.note(`${id} is not undone: ${asRingwallError(undoError).message}`);
    await changeMachine(work.store, id, () => ({
      status: { ...QUIET, phase: 'failed', reasons: [`it could not be made: ${failed.message}`] },
    }));
  }
  return failed;
}

async function endStart(work: Work, id: MachineId, error: unknown): Promise<Outcome> {
  const interruption = interruptionOf(work.signal);
  if (interruption?.reason === 'shutdown') return { leave: true };
  const machine = await requireMachine(work, id);
  // Whoever has cancelled it goes on with the machine: it is that work which ends the VMM and writes the state.
  if (interruption !== undefined) return { failed: cancelled(machine) };
  if (error instanceof AttestationRefused) {
    await changeMachine(
      work.store,
      id,
      ({ status }) => ({ status: { ...status, phase: 'refused', trust: 'refused', reasons: [...error.reasons] } }),
      { kind: 'machine.refused', machine: id, message: error.message },
    );
    if (machine.spec.image === FOREIGN_IMAGE) await standStill(work, machine);
    else await waitForRefusalOnConsole(work, id);
    return { failed: error };
  }
  const failed = asRingwallError(error);
  if (failed.code === 'internal') work.note(`${id}: ${describe(failed)}`);
  // Before that its console is the one of the boot before.
  const begun = machine.status.phase === 'starting' || machine.status.phase === 'attesting';
  const { lastWords, ended } = await endFailedBoot(work, machine);
  const reasons = [
    failed.message,
    ...(lastWords === undefined || !begun ? [] : [`its console said last: ${lastWords}`]),
  ];
  await changeMachine(work.store, id, () => ({ status: { ...QUIET, phase: 'failed', reasons } }), {
    kind: 'machine.failed',
    machine: id,
    message: failed.message,
  });
  return { failed, ...(ended ? {} : { untidy: true }) };
}

/** A system of ours stands in its initrd by itself. Another is about to start its kernel, and is kept from it. */
async function standStill(work: Work, { id, status }: Machine): Promise<void> {
  const { bootId: boot } = status;
  if (boot !== undefined) await patiently(work, () => work.warden.call({ op: 'pause-machine', machine: id, boot }));
}

async function endMachine(work: Work, machine: Machine, graceMs: number): Promise<void> {
  work.progress.step(graceMs > 0 ? 'asking the guest to power down' : 'ending the virtual machine');
  await insistently(work, () =>
    work.warden.call(
      { op: 'stop-machine', machine: machine.id, graceMs },
      { timeoutMs: graceMs + CALL_TIMEOUT_MS['stop-machine'], signal: work.signal },
    ),
  ).catch((error: unknown) => {
    // A machine that was never made, or was removed by a work that died before it could say so.
    if (!(error instanceof RingwallError) || error.code !== 'not-found') throw error;
  });
  work.observer.unwatch(machine.id);
  work.watches.drop(machine.id);
}

async function removeAtWarden(work: Work, id: MachineId): Promise<void> {
  await work.warden.call(
    { op: 'remove-machine', machine: id },
    { timeoutMs: CALL_TIMEOUT_MS['remove-machine'], signal: work.signal },
  );
}

export function cancelled(machine: Machine): RingwallError {
  return new RingwallError('conflict', `cancelled: something else was asked of ${machine.name}`);
}

function describe(error: RingwallError): string {
  return error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : error.message;
}
