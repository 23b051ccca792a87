// The serial console's log: bounded while QEMU writes it, and kept past the boot. What lies in a jail's run directory is
// read by host/jail alone, which knows how to.
import { boundRunFile, readRunFile } from '@ringwall/host/jail';
import { CONSOLE_LOG_NAME } from '@ringwall/host/qemu';
import { readFileBounded, writeFileAtomic } from '../files/index.ts';
import { messageOf } from './request-log.ts';
import type { MachineLayout } from './layout.ts';

/** A guest may print without end; more than this of its past is nobody's need, and /run is memory. */
const LOG_LIMITS = { maxBytes: 1024 * 1024, keepBytes: 512 * 1024 } as const;

/** The last `bytes`, of the boot that runs, else of the last one. */
export async function readConsoleTail(machine: MachineLayout, bytes: number): Promise<Uint8Array> {
  const text =
    (await readRunFile(machine.vmmDir, CONSOLE_LOG_NAME, bytes)) ??
    (await readFileBounded(machine.lastConsole, LOG_LIMITS.keepBytes)) ??
    new Uint8Array();
  return text.subarray(Math.max(0, text.length - bytes));
}

export async function boundConsole(machine: MachineLayout): Promise<void> {
  await boundRunFile(machine.vmmDir, CONSOLE_LOG_NAME, LOG_LIMITS);
}

/** Before the run directory goes. Never in the way of an end: a full disk loses a log, and no more. */
export async function keepConsole(machine: MachineLayout, note: (text: string) => void): Promise<void> {
  const text = await readRunFile(machine.vmmDir, CONSOLE_LOG_NAME, LOG_LIMITS.keepBytes);
  if (text === undefined) return;
  try {
    await writeFileAtomic(machine.lastConsole, text);
  } catch (error) {
    note(`the console of ${machine.id} is not kept: ${messageOf(error)}`);
  }
}
