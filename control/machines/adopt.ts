// The first thing that the daemon does: it compares what its last life has written with what the warden sees, and goes
// on with each machine from there (adoption.ts decides, this carries it out).
import { setTimeout as sleep } from 'node:timers/promises';
import { type Machine, type MachineId, type Operation, RingwallError } from '@ringwall/api';
import { snapshotIdSchema } from '@ringwall/api/snapshots';
import type { RunningMachine } from '@ringwall/api/warden';
import { decideAdoption } from './adoption.ts';
import { cloneSourceSchema } from './clone.ts';
import { discardSnapshot } from './snapshot.ts';
import { asRingwallError } from './work.ts';
import type { Worker, WorkRequest } from './worker.ts';

/** How long ended operations can be asked for; the audit trail keeps what they did. */
const OPERATIONS_KEPT_DAYS = 30;
const DAY_MS = 86_400_000;
const HOST_BOOT_FACT = 'host-boot';

interface Unfinished {
  readonly operation: Operation;
  readonly request: unknown;
}

/**
 * Ends once every machine is adopted: it waits for the warden as long as that takes, and tells `onTrouble` what it waits
 * for.
 */
export async function adoptMachines(
  worker: Worker,
  hostBootId: string,
  onTrouble: (error: RingwallError) => void,
): Promise<void> {
  const { store, closing } = worker;
  await store.pruneOperations(new Date(Date.now() - OPERATIONS_KEPT_DAYS * DAY_MS));
  const { running, existing } = await waitForLists(worker, onTrouble);
  const lastBoot = await store.findFact(HOST_BOOT_FACT);
  // Before any machine starts: its cable ends there.
  await worker.networks.begin();
  // What needs no machine may have begun meanwhile.
  const earlier = (await store.listRunningOperations()).filter(({ operation }) => !worker.operations.has(operation.id));
  const unfinished = Map.groupBy(earlier, ({ operation }) => operation.machine);
  const machines = await store.listMachines();

  for (const { operation, request } of unfinished.get(undefined) ?? []) {
    if (operation.kind === 'disk.import') await failImport(worker, operation);
    else await resumeBuild(worker, operation, request);
  }
  unfinished.delete(undefined);
  for (const machine of machines) {
    closing.throwIfAborted();
    const [last, ...overtaken] = await withoutWorkBeside(worker, machine.id, unfinished.get(machine.id) ?? []);
    unfinished.delete(machine.id);
    for (const { operation } of overtaken) await failOvertaken(worker, operation);
    const seen = running.find((boot) => boot.machine === machine.id);
    const adoption = decideAdoption({
      machine,
      operation: last?.operation,
      seen,
      hostRestarted: lastBoot !== undefined && lastBoot !== hostBootId,
    });
    switch (adoption.do) {
      case 'resume':
        if (last !== undefined) resume(worker, machine.id, last);
        break;
      case 'close-operation':
        if (last !== undefined) await worker.operations.take(last.operation).done(doneOf(machine));
        watch(worker, machine);
        break;
      case 'watch':
        watch(worker, machine);
        await store.appendEvent({ kind: 'machine.adopted', machine: machine.id, message: `${machine.name} went on` });
        break;
      case 'start':
        await startAgain(worker, machine.id, machine.name);
        break;
      case 'ended':
        worker.tellEnded(machine, { state: 'ended', poweredOff: seen?.poweredOff === true });
        break;
      case 'end-stray':
        worker.tidy(machine.id);
        break;
      case 'nothing':
        break;
    }
  }
  await worker.watches.look();
  for (const [, orphans] of unfinished) for (const { operation } of orphans) await endOrphan(worker, operation);
  await tellUnknown(worker, existing, new Set(machines.map((machine) => machine.id)));
  await store.saveFact(HOST_BOOT_FACT, hostBootId);
}

function doneOf({ status: { goesOnFrom } }: Machine): string {
  return goesOnFrom === undefined ? 'attested, and its disk unlocked' : `goes on from the memory of ${goesOnFrom}`;
}

function watch(worker: Worker, { id, status }: Machine): void {
  const { bootId = '', phase } = status;
  worker.observer.watch(id, bootId);
  if (phase === 'running' && status.watch !== undefined) worker.watches.adopt(id, bootId);
}

interface Lists {
  readonly running: readonly RunningMachine[];
  readonly existing: readonly MachineId[];
}

async function waitForLists(
  { warden, closing, timing, note }: Worker,
  onTrouble: (error: RingwallError) => void,
): Promise<Lists> {
  const options = { signal: closing };
  for (let told = false; ; told = true) {
    closing.throwIfAborted();
    try {
      const firstWordMs = timing.strangerMs;
      const { machines: running } = await warden.call({ op: 'list-machines' }, { firstWordMs, ...options });
      const { machines: existing } = await warden.call({ op: 'list-existing' }, options);
      return { running, existing };
    } catch (error) {
      closing.throwIfAborted();
      onTrouble(asRingwallError(error));
      if (!told) note(`waiting to adopt the machines: ${error instanceof Error ? error.message : String(error)}`);
    }
    await sleep(timing.patienceStepMs, undefined, options);
  }
}

function resume(worker: Worker, machine: MachineId, { operation, request }: Unfinished): void {
  const work = parseRequest(operation.kind, request);
  if (work === undefined) return;
  worker.note(`${machine}: going on with ${operation.kind}`);
  worker.run(machine, worker.operations.take(operation), work);
}

async function resumeBuild(worker: Worker, operation: Operation, request: unknown): Promise<void> {
  const image = fieldOf(request, 'image');
  if (typeof image === 'string') await worker.build(image, fieldOf(request, 'rebuild') === true, operation);
  else await failOvertaken(worker, operation);
}

async function startAgain(worker: Worker, machine: MachineId, name: string): Promise<void> {
  const step = 'starting it again: the host was restarted';
  const request: WorkRequest = { kind: 'machine.start' };
  worker.note(`${machine} (${name}): ${step}`);
  worker.run(machine, await worker.operations.begin({ kind: 'machine.start', machine }, step, request), request);
}

async function failOvertaken(worker: Worker, operation: Operation): Promise<void> {
  await worker.operations
    .take(operation)
    .fail(new RingwallError('conflict', 'cancelled: ringwalld was restarted, and something else was asked for since'));
}

/** The newest first. The machine runs on, whatever came of its snapshot; whether there is one, nobody was told. */
async function withoutWorkBeside(
  worker: Worker,
  machine: MachineId,
  unfinished: readonly Unfinished[],
): Promise<Unfinished[]> {
  for (const { operation, request } of unfinished) {
    if (operation.kind === 'template.hold') await failHold(worker, operation);
    if (operation.kind !== 'machine.snapshot') continue;
    const snapshot = snapshotIdSchema.safeParse(fieldOf(request, 'snapshot'));
    if (snapshot.success) await discardSnapshot(worker, machine, snapshot.data);
    await worker.operations.take(operation).fail(
      new RingwallError('conflict', 'the snapshot was broken off: ringwalld was restarted', {
        hint: 'the machine runs on: take it again',
      }),
    );
  }
  return unfinished.filter(({ operation: { kind } }) => !BESIDE_ITS_MACHINE.has(kind)).toReversed();
}

/** What says nothing of whether the machine itself should run. */
const BESIDE_ITS_MACHINE: ReadonlySet<Operation['kind']> = new Set(['machine.snapshot', 'template.hold']);

/** Whether it is held, the warden knows. */
async function failHold(worker: Worker, operation: Operation): Promise<void> {
  await worker.operations.take(operation).fail(
    new RingwallError('conflict', 'the hold was broken off: ringwalld was restarted', {
      hint: 'ask for it again, which does nothing where it is held: ringwall template hold NAME@NUMBER',
    }),
  );
}

/** The contents came on a connection to the last life of the daemon. */
async function failImport(worker: Worker, operation: Operation): Promise<void> {
  await worker.operations.take(operation).fail(
    new RingwallError('conflict', 'the import was broken off: ringwalld was restarted', {
      hint: 'the same command goes on where it was',
    }),
  );
}

/** Its machine is gone: it was removed, or could not be made. */
async function endOrphan(worker: Worker, operation: Operation): Promise<void> {
  const handle = worker.operations.take(operation);
  if (operation.kind === 'machine.remove') await handle.done('removed');
  else await handle.fail(new RingwallError('not-found', 'the machine is gone: ringwalld was restarted meanwhile'));
}

/** Never ended by us: a store that was lost or is an old one must not cost anybody a machine. */
async function tellUnknown(worker: Worker, existing: readonly MachineId[], known: ReadonlySet<string>): Promise<void> {
  for (const machine of existing) {
    if (known.has(machine)) continue;
    const message = `the warden has a machine ${machine} that this daemon does not know; it is left alone`;
    worker.note(message);
    await worker.store.appendEvent({ kind: 'machine.unknown', machine, message });
  }
}

function parseRequest(kind: Operation['kind'], request: unknown): WorkRequest | undefined {
  if (kind === 'image.build' || kind === 'disk.import') return undefined;
  if (kind === 'machine.snapshot' || kind === 'template.hold') return undefined;
  if (kind === 'machine.restore') {
    const snapshot = snapshotIdSchema.safeParse(fieldOf(request, 'snapshot')).data;
    return snapshot === undefined ? undefined : { kind, snapshot, rewind: fieldOf(request, 'rewind') === true };
  }
  if (kind === 'machine.create') {
    const from = cloneSourceSchema.safeParse(fieldOf(request, 'from')).data;
    return { kind, start: fieldOf(request, 'start') === true, ...(from && { from }) };
  }
  if (kind !== 'machine.stop') return { kind };
  const graceMs = fieldOf(request, 'graceMs');
  return { kind, graceMs: typeof graceMs === 'number' ? graceMs : 0 };
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? new Map<string, unknown>(Object.entries(value)).get(name)
    : undefined;
}
