// Stops the processors of a machine and lets them go on, by order of ringwalld: what quarantine means where its policy
// says so. Memory, TPM and disk stay as they are. Both run inside the machine's queue.
import { rm } from 'node:fs/promises';
import { RingwallError, type MachineId } from '@ringwall/api';
import type { WardenContext } from './context.ts';
import { requireSpec } from './boots.ts';
import { machineLayout } from './layout.ts';
import { isRunningBoot, readBoot } from './records.ts';

/** Idempotent. `boot`: the one that is meant; another one is left alone. */
export async function pauseMachine(
  context: WardenContext,
  { machine: id, boot }: { readonly machine: MachineId; readonly boot: string },
  what: 'pause' | 'resume',
): Promise<Record<string, never>> {
  const machine = machineLayout(context.layout, id);
  await requireSpec(machine);
  const record = await readBoot(machine);
  if (record === undefined || !isRunningBoot(record) || record.boot !== boot) {
    throw new RingwallError('conflict', 'the machine does not run in this boot', {
      hint: 'see what it does: ringwall show NAME',
    });
  }
  // It stands still by somebody's order from now on, not because we died while it was saved: no sweep lets it go on.
  if (what === 'pause') await rm(machine.saving, { force: true });
  await context.parts.vmm[what](machine, record);
  context.note(`${id}: ${what === 'pause' ? 'its processors are stopped' : 'its processors go on'}`);
  return {};
}
