// Holds the memory of a snapshot for machines that go on from it: the broker's word, the whole chain, and this host are looked at once,
// here, and what was found to be what was sealed cannot be written to any more.
import { RingwallError, type MachineId } from '@ringwall/api';
import type { HeldTemplate } from '@ringwall/api/templates';
import { makeSharedMemory } from '@ringwall/host/memory';
import { namesIn } from '../files/index.ts';
import { requireSpec } from './boots.ts';
import { refuseImported } from './clone.ts';
import type { WardenContext } from './context.ts';
import { explainFull } from './full.ts';
import { isMachineId, machineLayout, templateDisk } from './layout.ts';
import type { MachineTemplate, ProgressListener } from './parts.ts';
import { readBoot } from './records.ts';
import { asRestoreError, refuseOther } from './restore.ts';
import { MEMORY_RESERVE_MIB, runsNow } from './running.ts';
import { SnapshotChain, type ChainedSnapshot } from './snapshot-chain.ts';
import { platformOf } from './snapshots.ts';
import { makeTemplateDisk } from './template-disk.ts';
import type { Template } from './templates.ts';

/** More is a daemon that has lost sight of them. Each is a file descriptor of ours beside its memory. */
export const MAX_TEMPLATES = 32;
/** Of this host's memory, for all of them: the rest is for machines that write to what they share. */
export const MAX_TEMPLATE_SHARE = 0.5;
const MIB = 2 ** 20;

export interface HoldOrder extends ChainedSnapshot {
  readonly machine: MachineId;
  /** What it continues, from the whole one on to the one right before it. */
  readonly ancestors: readonly ChainedSnapshot[];
}

export async function holdTemplate(
  context: WardenContext,
  order: HoldOrder,
  progress: ProgressListener,
): Promise<HeldTemplate> {
  const { machine, snapshot } = order;
  // One after the other, and not while memory of a machine is copied: what one takes, the next does not count on.
  const held = await context.templates.hold(machine, snapshot, () =>
    context.copies.run('memory', () => open(context, order, progress)),
  );
  return shown(held, await machinesBySnapshot(context));
}

export async function listTemplates(context: WardenContext): Promise<{ readonly templates: HeldTemplate[] }> {
  const machines = await machinesBySnapshot(context);
  return { templates: await Promise.all(context.templates.list().map((template) => shown(template, machines))) };
}

interface Room {
  /** Of those that are held, and of this one. */
  readonly count: number;
  readonly heldMiB: number;
  readonly wantedMiB: number;
  readonly freeMiB: number;
  readonly totalMiB: number;
}

/** Throws host-full. */
export function refuseCrowded({ count, heldMiB, wantedMiB, freeMiB, totalMiB }: Room): void {
  const hint = 'release one that is not needed: ringwall template ls, ringwall template release NAME@NUMBER';
  if (count > MAX_TEMPLATES) {
    throw new RingwallError('host-full', `${MAX_TEMPLATES} templates are held already`, { hint });
  }
  const mostMiB = Math.floor(totalMiB * MAX_TEMPLATE_SHARE);
  if (heldMiB + wantedMiB > mostMiB) {
    throw new RingwallError(
      'host-full',
      `a template of ${wantedMiB} MiB beside ${heldMiB} MiB that are held: at most ${mostMiB} MiB of this host’s memory are`,
      { hint },
    );
  }
  if (wantedMiB + MEMORY_RESERVE_MIB <= freeMiB) return;
  const roomMiB = Math.max(0, freeMiB - MEMORY_RESERVE_MIB);
  throw new RingwallError('host-full', `a template wants ${wantedMiB} MiB of memory, ${roomMiB} MiB are free`, {
    hint: `stop machines, or ${hint}`,
  });
}

async function open(context: WardenContext, order: HoldOrder, progress: ProgressListener): Promise<Template> {
  const { layout, parts } = context;
  const { machine, snapshot } = order;
  await requireSpec(machineLayout(layout, machine));
  progress({ step: 'opening the snapshot' });
  try {
    const wanted = [...order.ancestors, order];
    await using chain = await SnapshotChain.open(context, machine, wanted, { use: 'template' });
    const { about, devicesBytes, diskBytes } = chain.newest;
    refuseImported(about.spec);
    refuseOther(about.spec, about, await platformOf(context, about.spec, await parts.host.accelerator()));
    const { memoryMiB: freeMiB, totalMemoryMiB: totalMiB } = await parts.host.capacity();
    const { count } = context.templates;
    const heldMiB = context.templates.list().reduce((sum, { about: { spec } }) => sum + spec.memoryMiB, 0);
    refuseCrowded({ count, heldMiB, wantedMiB: about.spec.memoryMiB, freeMiB, totalMiB });
    const devices = makeSharedMemory(devicesBytes);
    let memory: MachineTemplate | undefined;
    const [ownBytes] = diskBytes;
    const disk = await makeTemplateDisk(templateDisk(layout, snapshot), ownBytes, async (descriptor) => {
      memory = await parts.vmm.holdTemplate({
        bytes: about.spec.memoryMiB * MIB,
        fill: (into) =>
          chain.openInto({ memory: into, disks: [descriptor], devices }, (fraction) =>
            progress({ step: 'opening memory and disk', fraction }),
          ),
        devices: () => Buffer.concat(devices.map((segment) => Buffer.from(segment))),
      });
    }).catch(async (error: unknown) => {
      await memory?.[Symbol.asyncDispose]();
      throw error;
    });
    if (memory === undefined) throw new RingwallError('internal', 'a template without memory');
    const heldAt = new Date().toISOString();
    return { machine, snapshot, heldAt, about, keyDigest: chain.keyDigest, memory, disk };
  } catch (error) {
    throw asRestoreError(await explainFull(context, error));
  }
}

async function shown(
  { snapshot, machine, heldAt, memory }: Template,
  machines: ReadonlyMap<string, MachineId[]>,
): Promise<HeldTemplate> {
  const heldBytes = await memory.heldBytes();
  return { snapshot, machine, heldAt, bytes: memory.bytes, heldBytes, machines: machines.get(snapshot) ?? [] };
}

/** Those that go on from memory now, by the snapshot that it is of. */
async function machinesBySnapshot(context: WardenContext): Promise<ReadonlyMap<string, MachineId[]>> {
  const ids = (await namesIn(context.layout.runMachines)).filter(isMachineId);
  const found = new Map<string, MachineId[]>();
  for (const id of ids) {
    const machine = machineLayout(context.layout, id);
    const snapshot = (await readBoot(machine).catch(() => undefined))?.goesOnFrom; // the sweep sees to a record that is damaged
    if (snapshot === undefined || !(await runsNow(context, machine))) continue;
    found.set(snapshot, [...(found.get(snapshot) ?? []), id]);
  }
  return found;
}
