// Taking a snapshot of a machine and putting it back to one, as work of the daemon: the warden does it, the broker numbers the
// snapshot and keeps its key, and the daemon carries from one to the other what it cannot open.
import { type Machine, type MachineId, newBootId, RingwallError, type SnapshotId } from '@ringwall/api';
import type { SealedKey } from '@ringwall/api/warden';
import { fetchDiskKeys } from './disk-keys.ts';
import { cancelled, requireMachine, type Outcome } from './lifecycle.ts';
import { interruptionOf } from './interrupted.ts';
import { QUIET } from './quarantine.ts';
import { statusOf } from './boot.ts';
import { chainOf, continuable } from './snapshot-chain.ts';
import { CALL_TIMEOUT_MS } from './timing.ts';
import { asRingwallError, changeMachine, patiently, type Work } from './work.ts';

export interface SnapshotRequest {
  readonly snapshot: SnapshotId;
  /** By the machine's plan; else somebody asked for it. */
  readonly scheduled: boolean;
  /** All of it, also where it could continue the one before. */
  readonly full?: boolean;
}

/** The machine runs on, whatever comes of it. */
export async function snapshotMachine(
  work: Work,
  id: MachineId,
  { snapshot, scheduled, full = false }: SnapshotRequest,
): Promise<Outcome> {
  const machine = await requireMachine(work, id);
  const { bootId: boot } = machine.status;
  if (boot === undefined) return { failed: new RingwallError('conflict', `${machine.name} does not run`) };
  try {
    work.progress.step('asking the broker for a key');
    const { key, sequence } = await beginSnapshot(work, id, snapshot);
    const after = full ? undefined : continuable(await work.store.snapshots.list(id))?.id;
    const taken = await work.warden.call(
      { op: 'take-snapshot', machine: id, boot, snapshot, sequence, key, ...(after === undefined ? {} : { after }) },
      {
        timeoutMs: CALL_TIMEOUT_MS['take-snapshot'],
        signal: work.signal,
        onProgress: ({ step, fraction }) => work.progress.step(step, fraction),
      },
    );
    const { root, parent } = taken;
    const finished = { op: 'finish-snapshot', snapshot, root, ...(parent === undefined ? {} : { parent }) } as const;
    await patiently(work, () => work.broker.call(finished));
    const name = `${machine.name}@${String(sequence)}`;
    await work.store.snapshots.insert(
      { id: snapshot, machine: id, sequence, createdAt: new Date().toISOString(), ...taken, scheduled },
      { kind: 'snapshot.taken', machine: id, message: `${name} was taken: ${taken.root}` },
    );
    return { done: `${name} is there; ${machine.name} stood still for ${taken.pauseMs.toFixed(0)} ms` };
  } catch (error) {
    const interruption = interruptionOf(work.signal);
    if (interruption?.reason === 'shutdown') return { leave: true };
    await discardSnapshot(work, id, snapshot);
    return { failed: interruption === undefined ? asRingwallError(error) : cancelled(machine) };
  }
}

/** The key goes first: without it what is left is noise. Idempotent; what fails is noted and left, and keeps nothing else here. */
export async function discardSnapshot(
  { broker, warden, note }: Pick<Work, 'broker' | 'warden' | 'note'>,
  machine: MachineId,
  snapshot: SnapshotId,
): Promise<void> {
  const noted = (what: string) => (error: unknown) =>
    note(`${what} of ${snapshot} is not removed: ${asRingwallError(error).message}`);
  await broker.call({ op: 'forget-snapshot', snapshot }).catch(noted('the key'));
  const timeoutMs = CALL_TIMEOUT_MS['take-snapshot'];
  await warden.call({ op: 'remove-snapshot', machine, snapshot }, { timeoutMs }).catch(noted('the file'));
}

export interface RestoreRequest {
  readonly snapshot: SnapshotId;
  readonly rewind: boolean;
}

/** What was begun by an earlier life of the daemon is looked for first. */
export async function restoreMachine(work: Work, id: MachineId, request: RestoreRequest): Promise<Outcome> {
  const machine = await requireMachine(work, id);
  try {
    if (machine.status.phase === 'starting') return await findRestored(work, machine, request);
    return { done: await putBack(work, machine, request) };
  } catch (error) {
    if (interruptionOf(work.signal)?.reason === 'shutdown') return { leave: true };
    const failed = asRingwallError(error);
    await changeMachine(
      work.store,
      id,
      ({ spec }) => ({
        spec: { ...spec, running: false },
        status: { ...QUIET, phase: 'stopped', reasons: [`it was not put back: ${failed.message}`] },
      }),
      { kind: 'machine.not-restored', machine: id, message: failed.message },
    );
    return { failed, untidy: true };
  }
}

async function putBack(work: Work, machine: Machine, { snapshot, rewind }: RestoreRequest): Promise<string> {
  const { id, name } = machine;
  work.progress.step('asking the broker for the key of the snapshot');
  const { key: brokerKey } = await patiently(work, () => work.broker.call({ op: 'status' }, { signal: work.signal }));
  const ancestors = await askBases(work, id, snapshot);
  const boot = newBootId();
  // Before the state's own key, which is given out once: where a disk's is gone, nothing is to be used up.
  const diskKeys = await fetchDiskKeys(work, machine, boot, { snapshot, rewind });
  const released = await askKey(work, { machine: id, snapshot, use: 'restore', rewind });
  await changeMachine(work.store, id, ({ spec }) => ({
    spec: { ...spec, running: true },
    status: { ...QUIET, phase: 'starting', bootId: boot },
  }));
  const { running, reference } = await work.warden.call(
    { op: 'restore-machine', machine: id, boot, brokerKey, ...released, ancestors, ...diskKeys },
    {
      timeoutMs: CALL_TIMEOUT_MS['restore-machine'],
      signal: work.signal,
      onProgress: ({ step, fraction }) => work.progress.step(step, fraction),
    },
  );
  await confirmRestore(work, snapshot);
  await work.store.saveBoot(id, { boot, reference });
  work.observer.watch(id, boot);
  await changeMachine(
    work.store,
    id,
    () => ({ status: { ...statusOf(running), phase: 'running', trust: 'unknown', reasons: [UNPROVEN] } }),
    {
      kind: 'machine.restored',
      machine: id,
      message: `${name} was put back to ${snapshot}${rewind ? ', by name' : ''}`,
    },
  );
  return `${name} goes on where it was saved; it proves itself at its next start`;
}

export interface ReleasedKey {
  readonly snapshot: SnapshotId;
  readonly root: string;
  readonly key: SealedKey;
}

/** Of all that this one continues, to open it below. */
export async function askBases(work: Work, machine: MachineId, snapshot: SnapshotId): Promise<ReleasedKey[]> {
  const all = await work.store.snapshots.list(machine);
  const chain = all.filter((each) => each.id === snapshot).flatMap((each) => chainOf(each, all));
  const bases: ReleasedKey[] = [];
  for (const base of chain.slice(0, -1)) {
    bases.push(await askKey(work, { machine, snapshot: base.id, use: 'base', rewind: false }));
  }
  return bases;
}

async function askKey(
  { warden, broker }: Work,
  asked: {
    readonly machine: MachineId;
    readonly snapshot: SnapshotId;
    readonly use: 'restore' | 'base';
    readonly rewind: boolean;
  },
): Promise<ReleasedKey> {
  const { machine, snapshot, use, rewind } = asked;
  const { request } = await warden.call({ op: 'ask-snapshot-key', snapshot, machine, use });
  const { sealed, root } = await broker.call({ op: 'release-snapshot-key', request, rewind });
  return { snapshot, root, key: { publicKey: request.publicKey, sealed } };
}

/** Whether the warden has come to the end of it meanwhile: this waits for its turn there. */
async function findRestored(work: Work, { id, name, status }: Machine, { snapshot }: RestoreRequest): Promise<Outcome> {
  const { bootId: boot = '' } = status;
  await patiently(work, () =>
    work.warden.call(
      { op: 'resume-machine', machine: id, boot },
      { timeoutMs: CALL_TIMEOUT_MS['restore-machine'], signal: work.signal },
    ),
  );
  await confirmRestore(work, snapshot);
  work.observer.watch(id, boot);
  await changeMachine(work.store, id, (seen) => ({
    status: { ...seen.status, phase: 'running', trust: 'unknown', reasons: [UNPROVEN] },
  }));
  return { done: `${name} goes on where it was saved; it proves itself at its next start` };
}

/** Its TPM is that of the snapshot now, and the broker must not take it for one that somebody else has put back. */
async function confirmRestore(work: Work, snapshot: SnapshotId): Promise<void> {
  await patiently(work, () => work.broker.call({ op: 'confirm-restore', snapshot }));
}

const UNPROVEN = 'it was put back to a snapshot, and proves itself at its next start';

async function beginSnapshot(
  work: Work,
  machine: MachineId,
  snapshot: SnapshotId,
): Promise<{ readonly key: SealedKey; readonly sequence: number }> {
  return patiently(work, async () => {
    const asked = { op: 'ask-snapshot-key', snapshot, machine, use: 'take' } as const;
    const { request } = await work.warden.call(asked, { signal: work.signal });
    const { sealed, sequence } = await work.broker.call({ op: 'begin-snapshot', request }, { signal: work.signal });
    return { key: { publicKey: request.publicKey, sealed }, sequence };
  });
}
