// A machine that begins with the disk of another, or goes on from its memory, too: what is planned of it before it is made, and how it
// gets that disk.
import { type CreateMachine, type Machine, machineIdSchema, RingwallError } from '@ringwall/api';
import { type CloneMachine, snapshotIdSchema } from '@ringwall/api/snapshots';
import { z } from 'zod';
import { freeName } from './names.ts';
import { refuseQuarantined } from './quarantine.ts';
import { askBases } from './snapshot.ts';
import { findSnapshot } from './snapshots.ts';
import { findHeld } from './templates.ts';
import { CALL_TIMEOUT_MS } from './timing.ts';
import { patiently, type Work, type WorkParts } from './work.ts';

/** What a clone's disk is copied from. Stored with the operation, so that another life of the daemon can go on with it. */
export const cloneSourceSchema = z.object({
  machine: machineIdSchema,
  snapshot: snapshotIdSchema,
  /** For people, as in `web@1`. */
  name: z.string(),
  /** From its memory, too, as a template has it. */
  live: z.literal(true).optional(),
});
export type CloneSource = z.infer<typeof cloneSourceSchema>;

/** As the original in all that its disk and its image are about. */
export async function planClone(
  { store, warden }: Pick<WorkParts, 'store' | 'warden'>,
  original: Machine,
  request: CloneMachine,
): Promise<{ readonly wanted: CreateMachine; readonly from: CloneSource }> {
  refuseUncloned(original);
  const { id: machine, name, spec } = original;
  const { live = false } = request;
  const { id: snapshot, sequence } = live
    ? await findHeld({ store, warden }, original, request.sequence)
    : await findSnapshot({ store }, original, request.sequence);
  const taken = new Set((await store.listMachines()).map((each) => each.name));
  const { image, cpus, memoryMiB, diskMiB, watch, encryption } = spec;
  const { network, labels, start = true } = request;
  if (live && !start)
    throw new RingwallError('bad-request', 'what goes on from memory runs: it cannot be left stopped');
  const wanted: CreateMachine = {
    name: request.name ?? freeName(name, taken),
    ...{ image, cpus, memoryMiB, diskMiB, watch, encryption, start },
    ...(network === undefined ? {} : { network }),
    ...(labels === undefined ? {} : { labels }),
  };
  return { wanted, from: { machine, snapshot, name: `${name}@${String(sequence)}`, ...(live && { live }) } };
}

/** The broker decides; this is so that nothing is made for nothing. */
export function refuseUncloned(original: Machine): void {
  refuseQuarantined(original);
  const { name, spec } = original;
  if (spec.clones !== 'allow') {
    throw new RingwallError('conflict', `${name} may not be cloned`, {
      hint: 'that is decided when a machine is made, for good: ringwall run … --clones allow',
    });
  }
  if (spec.disks !== undefined && spec.disks.length > 0) {
    throw new RingwallError('conflict', `${name} has imported disks, and cannot be cloned`, {
      hint: 'each of them has one key and one machine: import their images once more, for another machine',
    });
  }
}

/** Of a machine that has its TPM, is known to the broker, and was never started. Idempotent. */
export async function copyDisk(
  work: Work,
  { id: clone }: Machine,
  { machine, snapshot, name }: CloneSource,
): Promise<void> {
  work.progress.step(`asking the broker for the disk of ${name}`);
  await patiently(work, async () => {
    const ancestors = await askBases(work, machine, snapshot);
    const asked = { op: 'ask-snapshot-key', snapshot, machine, use: 'clone', clone } as const;
    const { request } = await work.warden.call(asked, { signal: work.signal });
    const { sealed, root } = await work.broker.call({ op: 'clone-machine', request }, { signal: work.signal });
    const key = { publicKey: request.publicKey, sealed };
    await work.warden.call(
      { op: 'clone-disk', machine: clone, from: machine, snapshot, root, key, ancestors },
      {
        timeoutMs: CALL_TIMEOUT_MS['clone-disk'],
        signal: work.signal,
        onProgress: ({ step, fraction }) => work.progress.step(step, fraction),
      },
    );
  });
}
