// What runs now, as /proc and the monitor say it.
import type { RunningMachine } from '@ringwall/api/warden';
import type { WardenContext } from './context.ts';
import type { MachineLayout } from './layout.ts';
import { isRunningBoot, readBoot, type RunningBoot } from './records.ts';

/** Left to the host and to what QEMU and swtpm need beside the guest's memory. */
export const MEMORY_RESERVE_MIB: number = 256;

export type RunningState = RunningMachine['state'];

/** A VMM that lives and does not answer counts as running: it holds the machine's disk. */
export async function healthOf(
  context: WardenContext,
  machine: MachineLayout,
  record: RunningBoot,
): Promise<RunningState> {
  const { host, vmm } = context.parts;
  if (record.hostBoot !== host.bootId || !host.isAlive(record.vmm)) return 'vmm-dead';
  if (!host.isAlive(record.tpm)) return 'tpm-dead';
  return (await vmm.status(machine, record)) ?? 'running';
}

/** Whether a VMM of this machine lives; half starts do not count. */
export async function runsNow(context: WardenContext, machine: MachineLayout): Promise<boolean> {
  const record = await readBoot(machine);
  if (record === undefined || !isRunningBoot(record)) return false;
  return record.hostBoot === context.parts.host.bootId && context.parts.host.isAlive(record.vmm);
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
