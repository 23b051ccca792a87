// Finds what no longer runs and what a crash left, and cleans it up: once at the warden's start, then every few seconds.
// Whatever bears a machine's id counts, from wherever it can be seen: run directories, jails on record, and unfinished
// records. So a crash at any moment, in any order, is found by one of them.
import { rm } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { settleCard } from './cards.ts';
import { boundConsole } from './console.ts';
import type { WardenContext } from './context.ts';
import { endBoot } from './end-boot.ts';
import { isThere, namesIn } from '../files/index.ts';
import { messageOf } from './request-log.ts';
import { isMachineId, machineLayout, type MachineLayout } from './layout.ts';
import { sweepUnfinished } from './machines.ts';
import type { Queues } from './queue.ts';
import { isRunningBoot, readBoot, type BootRecord, type RunningBoot } from './records.ts';
import { deathOf, reportOf } from './running.ts';
import { powerOff } from './boots.ts';

/** A guest whose TPM died may still save its work. */
const TPM_DEAD_GRACE_MS = 5_000;
/** A stop that a killed warden had begun goes on, with this much time. */
const INTERRUPTED_STOP_GRACE_MS = 10_000;

/** `whole`: unfinished records too, which only a crash of the warden leaves. Never rejects for one machine's sake. */
export async function sweep(context: WardenContext, queues: Queues, whole: boolean): Promise<void> {
  const looked = context.networks.look();
  const ids = await idsToSweep(context, whole);
  await Promise.all(
    ids.map(async (id) => {
      if (queues.busy(id)) return; // what runs there cleans up after itself
      try {
        await queues.run(id, () => sweepMachine(context, machineLayout(context.layout, id)));
      } catch (error) {
        context.note(`sweep of ${id} failed: ${messageOf(error)}`);
      }
    }),
  );
  await looked;
}

async function idsToSweep(context: WardenContext, whole: boolean): Promise<string[]> {
  const { layout, parts } = context;
  const names = [
    ...(await namesIn(layout.runMachines)),
    ...parts.jail.machinesWithJails(),
    ...(whole ? await namesIn(layout.records) : []),
  ];
  return [...new Set(names)].filter(isMachineId);
}

async function sweepMachine(context: WardenContext, machine: MachineLayout): Promise<void> {
  await sweepBoot(context, machine);
  await sweepUnfinished(context, machine);
}

async function sweepBoot(context: WardenContext, machine: MachineLayout): Promise<void> {
  const record = await readBootRecord(context, machine);
  if (record === undefined) {
    if (await leftovers(context, machine)) await endBoot(context, machine);
    return;
  }
  if (!isRunningBoot(record)) {
    context.note(`${machine.id}: a ${record.phase} that was interrupted is undone`);
    await endBoot(context, machine);
    return;
  }
  const state = deathOf(context, record);
  if (record.phase === 'stopping') {
    context.note(`${machine.id}: a stop that was interrupted is finished`);
    await powerOff(context, machine, record, INTERRUPTED_STOP_GRACE_MS);
    await endBoot(context, machine);
    return;
  }
  if (state !== undefined) {
    context.note(`${machine.id}: ${state}`);
    context.obituaries.set(machine.id, await reportOf(context, machine, record, state));
    if (state === 'tpm-dead') await powerOff(context, machine, record, TPM_DEAD_GRACE_MS);
    await endBoot(context, machine);
    return;
  }
  await boundConsole(machine);
  await goOnUnsaved(context, machine, record);
  await goOnWithRoom(context, machine, record);
  // Whoever takes its own card out, or does not let go of it, is asked again; a monitor that is silent, too.
  await settleCard(context, machine, record).catch(() => undefined);
}

/** We died, or failed, while it was saved: the guest stands still by nobody's order. */
async function goOnUnsaved({ parts, note }: WardenContext, machine: MachineLayout, record: RunningBoot): Promise<void> {
  if (!(await isThere(machine.saving))) return;
  await parts.vmm.resume(machine, record);
  await rm(machine.saving, { force: true });
  note(`${machine.id}: its guest goes on, it was not saved`);
}

/** A full disk stops a guest in the middle of a write, so that it loses nothing. Once there is room it goes on. */
async function goOnWithRoom(context: WardenContext, machine: MachineLayout, record: RunningBoot): Promise<void> {
  const { host, vmm } = context.parts;
  if (await host.isFull()) return;
  if (await vmm.goOn(machine, record))
    context.note(`${machine.id}: its guest goes on, there is room on the disk again`);
}

async function leftovers(context: WardenContext, machine: MachineLayout): Promise<boolean> {
  return (await isThere(machine.runDir)) || context.parts.jail.machinesWithJails().includes(machine.id);
}

/** A record that cannot be read is of a boot that cannot be adopted. */
async function readBootRecord(context: WardenContext, machine: MachineLayout): Promise<BootRecord | undefined> {
  try {
    return await readBoot(machine);
  } catch (error) {
    // Any other error (no descriptor left, a disk that fails) may pass: nothing is ended for it.
    if (!(error instanceof RingwallError)) throw error;
    context.note(`${machine.id}: ${error.message}`);
    return undefined;
  }
}
