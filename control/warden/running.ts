// What runs now, as /proc and the monitor say it.
import type { RunningMachine } from '@ringwall/api/warden';
import type { WardenContext } from './context.ts';
import type { MachineLayout } from './layout.ts';
import { isRunningBoot, readBoot, type RunningBoot } from './records.ts';

/** Left to the host and to what QEMU and swtpm need beside the guest's memory. */
export const MEMORY_RESERVE_MIB: number = 256;

export type RunningState = RunningMachine['state'];

/** By /proc alone: cheap enough for each sweep. */
export function deathOf(context: WardenContext, record: RunningBoot): 'vmm-dead' | 'tpm-dead' | undefined {
  const { host } = context.parts;
  if (record.hostBoot !== host.bootId || !host.isAlive(record.vmm)) return 'vmm-dead';
  const tpm = [record.tpm, ...(record.witness === undefined ? [] : [record.witness])];
  return tpm.every((process) => host.isAlive(process)) ? undefined : 'tpm-dead';
}

/** A VMM that lives and does not answer counts as running: it holds the machine's disk. */
export async function healthOf(
  context: WardenContext,
  machine: MachineLayout,
  record: RunningBoot,
): Promise<RunningState> {
  return deathOf(context, record) ?? (await context.parts.vmm.status(machine, record)) ?? 'running';
}

/** Whether a VMM of this machine lives; half starts do not count. */
export async function runsNow(context: WardenContext, machine: MachineLayout): Promise<boolean> {
  const record = await readBoot(machine);
  if (record === undefined || !isRunningBoot(record)) return false;
  return record.hostBoot === context.parts.host.bootId && context.parts.host.isAlive(record.vmm);
}

/** As the API tells it; of a VMM that is dead, also whether its guest powered it down. */
export async function reportOf(
  context: WardenContext,
  machine: MachineLayout,
  record: RunningBoot,
  state: RunningState,
): Promise<RunningMachine> {
  const running = toRunning(record, state);
  if (state !== 'vmm-dead') return running;
  return { ...running, poweredOff: await context.parts.vmm.poweredOff(machine, record) };
}

export function toRunning(record: RunningBoot, state: RunningState): RunningMachine {
  return {
    machine: record.machine,
    boot: record.boot,
    state,
    accelerator: record.accelerator,
    startedAt: record.startedAt,
    vmmPid: record.vmm.pid,
    tpmPid: record.tpm.pid,
  };
}
