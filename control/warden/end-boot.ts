// Ends whatever is left of a boot and removes all that was made for it, in an order that a crash between any two steps
// leaves something that the next sweep finds and finishes: jails are on record in a host-wide register until they are
// gone, and boot.json goes last of all.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { keepConsole } from './console.ts';
import type { WardenContext } from './context.ts';
import { namesIn } from '../files/index.ts';
import type { MachineLayout } from './layout.ts';
import { readBoot, type BootRecord } from './records.ts';

/** Idempotent. */
export async function endBoot(context: WardenContext, machine: MachineLayout): Promise<void> {
  const { host, jail } = context.parts;
  const record = await readBootOrNothing(context, machine);
  context.continuations.forget(machine.id);
  await context.networks.leave(machine.id);
  // The VMM first: a guest must not see its TPM vanish while it still writes.
  for (const process of [record?.vmm, record?.witness, record?.tpm]) {
    if (process !== undefined && record?.hostBoot === host.bootId) await host.kill(process);
  }
  await keepConsole(machine, context.note);
  await jail.endJails(machine);
  await removeRunDir(machine);
}

async function removeRunDir(machine: MachineLayout): Promise<void> {
  for (const name of await namesIn(machine.runDir)) {
    const path = join(machine.runDir, name);
    if (path !== machine.boot) await rm(path, { recursive: true, force: true });
  }
  await rm(machine.runDir, { recursive: true, force: true });
}

/** A record that cannot be read must not keep us from cleaning up: the register of jails names what is left. */
async function readBootOrNothing(context: WardenContext, machine: MachineLayout): Promise<BootRecord | undefined> {
  try {
    return await readBoot(machine);
  } catch (error) {
    if (!(error instanceof RingwallError)) throw error;
    context.note(`${machine.id}: ${error.message}`);
    return undefined;
  }
}
