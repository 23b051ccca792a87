// Starts and stops a machine. Every function here runs inside the machine's queue.
import { FOREIGN_IMAGE, RingwallError, type DiskId, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SealedKey, VmSpec, WardenResponse } from '@ringwall/api/warden';
import { referenceJson, type ReferenceContent } from '@ringwall/evidence';
import { isErrno, isThere, makeDirectory } from '../files/index.ts';
import { requireCable, type Card } from './cards.ts';
import type { WardenContext } from './context.ts';
import { endBoot } from './end-boot.ts';
import { explainFull } from './full.ts';
import { messageOf } from './request-log.ts';
import { requireImportedDisk } from './disks.ts';
import { notBuilt } from './images.ts';
import { imageDir, machineLayout, notYetBack, type MachineLayout } from './layout.ts';
import type { BootOrder, ProgressListener } from './parts.ts';
import { isRunningBoot, readBoot, readSpec, writeBoot, type BootRecord, type RunningBoot } from './records.ts';
import { healthOf, MEMORY_RESERVE_MIB, toRunning } from './running.ts';

/** After `quit` QEMU flushes its disks; a disk that takes longer is not waited for. */
const QUIT_TIMEOUT_MS = 5_000;

export interface StartOrder {
  readonly machine: MachineId;
  readonly boot: string;
  readonly brokerKey: string;
  readonly diskKeys?: readonly (SealedKey & { readonly disk: DiskId })[] | undefined;
  readonly card?: Card | undefined;
  /** The snapshot whose template it goes on from. */
  readonly goesOnFrom?: SnapshotId;
}

export async function startMachine(
  context: WardenContext,
  order: StartOrder,
  progress: ProgressListener,
  /** Boots nothing, and goes on from it. */
  state?: BootOrder['state'],
): Promise<WardenResponse<'start-machine'>> {
  const machine = machineLayout(context.layout, order.machine);
  const spec = await requireSpec(machine);
  const already = await answerRunning(context, machine, order);
  if (already !== undefined) return already;

  await endBoot(context, machine); // what a crash or a death left of an earlier boot
  await requireDisk(machine);
  await requireOwnState(machine);
  // What goes on from a state is trusted by nobody until it starts again: it has no way into its network, whoever asks for one.
  const cable = state === undefined ? requireCable(context, spec, order.card) : {};
  await checkMemory(context, spec);
  using opened = new DisposableStack();
  const disks = await openDisks(context, spec, order, opened);
  // The expected values come from what was recorded when the image was put in place, and the files go to the VMM as they
  // are on the disk, deliberately unchecked: what was tampered with since is measured by the firmware, differs from the
  // expectation, and is refused by the broker with the event's name. A check here would only move the judgement from the
  // verifier to the host that is not trusted with it.
  const { content, direct } = await expectedOf(context, machine, spec, order.brokerKey);
  const reference = referenceJson(await context.parts.images.sign(content));
  progress({ step: 'finding out whether this host can accelerate machines' });
  const accelerator = await context.parts.host.accelerator();

  progress({ step: 'starting the TPM and the VMM in their jails' });
  try {
    const running = await bringUp(context, machine, {
      ...{ order, spec, accelerator, direct, reference, disks, cable, state },
    });
    return { running: toRunning(running, 'running'), reference };
  } catch (error) {
    const explained = await explainFull(context, error);
    // What cannot be undone now, the sweep tries again; the reason of the failure is the first one.
    await endBoot(context, machine).catch((again: unknown) => context.note(`${machine.id}: ${messageOf(again)}`));
    throw explained;
  }
}

/** `graceful`: the guest powered down by itself within the grace. */
export async function stopMachine(
  context: WardenContext,
  id: MachineId,
  graceMs: number,
): Promise<WardenResponse<'stop-machine'>> {
  const machine = machineLayout(context.layout, id);
  await requireSpec(machine);
  const record = await readBoot(machine);
  const graceful = record !== undefined && isRunningBoot(record) && (await powerOff(context, machine, record, graceMs));
  await endBoot(context, machine);
  context.obituaries.delete(id);
  return { graceful };
}

/** Power button, then `quit`, each only where the one before did not do; the rest is endBoot's. */
export async function powerOff(
  context: WardenContext,
  machine: MachineLayout,
  record: RunningBoot,
  graceMs: number,
): Promise<boolean> {
  const { host, vmm } = context.parts;
  if (record.hostBoot !== host.bootId || !host.isAlive(record.vmm)) return false;
  await writeBoot(machine, { ...record, phase: 'stopping' }).catch((error: unknown) => {
    // A full /run must not keep a machine from being stopped; the phase is only for a sweep after a crash.
    if (!isErrno(error, 'ENOSPC', 'EDQUOT') && !(error instanceof RingwallError)) throw error;
  });
  if (graceMs > 0) {
    await vmm.powerDown(machine, record).catch((error: unknown) => unanswered(context, machine, error));
    if (await host.waitForExit(record.vmm, graceMs)) return true;
  }
  await vmm.quit(machine, record).catch((error: unknown) => unanswered(context, machine, error));
  await host.waitForExit(record.vmm, QUIT_TIMEOUT_MS);
  return false;
}

export async function requireSpec(machine: MachineLayout): Promise<VmSpec> {
  const record = await readSpec(machine);
  if (record !== undefined) return record.spec;
  throw new RingwallError('not-found', `no machine ${machine.id} on this host`, { hint: 'list machines: ringwall ls' });
}

/** What the boot must measure: all of it by the image, or of a system of the machine's own what the firmware measures. */
async function expectedOf(
  { layout, parts }: WardenContext,
  machine: MachineLayout,
  { image, memoryMiB, cpus }: VmSpec,
  brokerKey: string,
): Promise<{ readonly content: ReferenceContent; readonly direct: BootOrder['direct'] }> {
  if (image === FOREIGN_IMAGE) {
    return { content: await parts.images.firmware(machine.id, { memoryMiB, cpus }), direct: undefined };
  }
  const prediction = await parts.images.predict(image, { brokerKey, memoryMiB, cpus });
  if (prediction === undefined) throw notBuilt(image);
  const { commandLine, reference } = prediction;
  return { content: reference, direct: { commandLine, imageDir: imageDir(layout, image) } };
}

interface BringUp {
  readonly order: StartOrder;
  readonly spec: VmSpec;
  readonly accelerator: 'kvm' | 'tcg';
  readonly direct: BootOrder['direct'];
  readonly reference: unknown;
  readonly disks: BootOrder['disks'];
  readonly cable: Pick<BootOrder, 'cable'>;
  readonly state: BootOrder['state'] | undefined;
}

/** boot.json is written before anything that it names exists, and again once it runs. */
async function bringUp(context: WardenContext, machine: MachineLayout, plan: BringUp): Promise<RunningBoot> {
  const { parts } = context;
  await makeDirectory(machine.runDir, 0o711);
  const starting: BootRecord = {
    version: 1,
    machine: machine.id,
    phase: 'starting',
    boot: plan.order.boot,
    brokerKey: plan.order.brokerKey,
    hostBoot: parts.host.bootId,
    startedAt: new Date().toISOString(),
    reference: plan.reference,
    ...(plan.order.card === undefined ? {} : { card: plan.order.card }),
    ...(plan.state?.card === undefined ? {} : { looseCard: plan.state.card }),
    ...(plan.order.goesOnFrom === undefined ? {} : { goesOnFrom: plan.order.goesOnFrom }),
  };
  await writeBoot(machine, starting);
  const { direct, state } = plan;
  const started = await parts.vmm.start({
    machine,
    spec: plan.spec,
    accelerator: plan.accelerator,
    ...(direct === undefined ? {} : { direct }),
    disks: plan.disks,
    ...plan.cable,
    ...(state === undefined ? {} : { state }),
  });
  const running: RunningBoot = {
    ...starting,
    phase: 'running',
    boot: plan.order.boot,
    accelerator: plan.accelerator,
    ...started,
  };
  await writeBoot(machine, running);
  return running;
}

/** The same start asked again, as after a lost answer, gets the same answer; another start is refused. */
export async function answerRunning(
  context: WardenContext,
  machine: MachineLayout,
  order: Pick<StartOrder, 'boot' | 'brokerKey'>,
): Promise<WardenResponse<'start-machine'> | undefined> {
  const record = await readBoot(machine);
  if (record === undefined || !isRunningBoot(record) || record.phase !== 'running') return undefined;
  const state = await healthOf(context, machine, record);
  if (state === 'vmm-dead' || state === 'tpm-dead') return undefined;
  if (record.boot === order.boot && record.brokerKey === order.brokerKey) {
    return { running: toRunning(record, state), reference: record.reference };
  }
  throw new RingwallError('conflict', 'the machine runs already', { hint: 'stop it first: ringwall stop NAME' });
}

async function checkMemory(context: WardenContext, spec: VmSpec): Promise<void> {
  const { memoryMiB: availableMiB } = await context.parts.host.capacity();
  if (spec.memoryMiB + MEMORY_RESERVE_MIB <= availableMiB) return;
  throw new RingwallError(
    'host-full',
    `the machine wants ${spec.memoryMiB} MiB of memory, ${Math.max(0, availableMiB - MEMORY_RESERVE_MIB)} MiB are free`,
    { hint: 'stop other machines, or make this one smaller' },
  );
}

/** Each imported disk with the key that the broker released for this very boot. The keys go with `opened`. */
async function openDisks(
  context: WardenContext,
  spec: VmSpec,
  order: StartOrder,
  opened: DisposableStack,
): Promise<BootOrder['disks']> {
  const disks: BootOrder['disks'][number][] = [];
  for (const id of spec.disks ?? []) {
    const disk = await requireImportedDisk(context, id);
    const sealed = order.diskKeys?.find((each) => each.disk === id);
    if (sealed === undefined) throw new RingwallError('bad-request', `no key of ${id} came with the start`);
    const use = { disk: id, use: 'start', machine: order.machine, boot: order.boot } as const;
    disks.push({ disk, key: opened.use(context.keys.open(sealed, use)) });
  }
  return disks;
}

async function requireDisk(machine: MachineLayout): Promise<void> {
  if (await isThere(machine.disk)) return;
  throw new RingwallError('vmm-failed', 'the disk of this machine is gone', {
    hint: `restore ${machine.disk} from a backup, or remove the machine: ringwall rm NAME`,
  });
}

async function requireOwnState(machine: MachineLayout): Promise<void> {
  if (!(await isThere(notYetBack(machine)))) return;
  throw new RingwallError('conflict', 'the machine came from another host, and is in its snapshot alone', {
    hint: 'put it back to that first: ringwall restore NAME',
  });
}

function unanswered(context: WardenContext, machine: MachineLayout, error: unknown): void {
  context.note(`${machine.id}: the monitor does not answer: ${messageOf(error)}`);
}
