// Joins the warden to host/qemu: starts machines, and speaks to those that run.
import { join } from 'node:path';
import { connectToVmm, type MachineLayout, type SavedState, type VmmPart } from '@ringwall/control/warden';
import { FIRMWARE_CODE, FIRMWARE_VARS } from '@ringwall/host/guestimage';
import { tapLauncher, tapName } from '@ringwall/host/network';
import { goOn, setCard, startVmm, type VmmMemory } from '@ringwall/host/qemu';
import { readExitCode, type StartedJail } from '@ringwall/host/jail';
import type { StartingTpm } from '@ringwall/host/swtpm';
import { loadWitness, type StartedWitness } from '@ringwall/host/witness';
import { z } from 'zod';
import { requireComponents, VMM_COMPONENTS } from './components.ts';
import { QMP_TIMEOUT_MS, withMonitor } from './monitor.ts';
import { HeldTemplate } from './templates.ts';
import { copyMachine, loadDevices } from './states.ts';
import { openMachineTpm, openWitnessedMachineTpm, startMachineWitness, type TpmContext } from './tpms.ts';

/** RunState of QEMU's QMP reference: a write found no room (werror=enospc, what QEMU does where nothing else is said). */
const NO_ROOM = 'io-error';

const statusSchema = z.object({ running: z.boolean(), status: z.string() });

export function makeVmmPart(context: TpmContext): VmmPart {
  return {
    start: async ({ machine, spec, accelerator, direct, disks, cable, state }) => {
      await requireComponents(VMM_COMPONENTS);
      const { tpm, witness } = await startTpmOf(context, machine, { isForeign: direct === undefined, state });
      const startingVmm = startVmm({
        machine: context.label(machine),
        accelerator,
        cpus: spec.cpus,
        memoryMiB: spec.memoryMiB,
        firmwareCode: FIRMWARE_CODE,
        firmwareVariables: FIRMWARE_VARS,
        ...(direct === undefined
          ? {}
          : {
              direct: {
                kernel: join(direct.imageDir, 'kernel'),
                initrd: join(direct.imageDir, 'initrd'),
                commandLine: direct.commandLine,
                systemImage: join(direct.imageDir, 'system.img'),
                dataDisk: machine.disk,
              },
            }),
        encrypted: disks.map(({ disk, key }) => ({ serial: disk.id.slice(4), path: disk.file, key: key.expose() })),
        tpm:
          witness === undefined
            ? { channel: 'control', socket: tpm.channel }
            : { channel: 'commands', socket: witness.channel },
        ...(cable === undefined
          ? {}
          : { openTap: (fd) => tapLauncher({ file: cable.pin, name: tapName(machine.id) }, fd) }),
        ...(state?.card === undefined
          ? {}
          : { savedCard: state.card.mac, openTap: (fd) => tapLauncher({ name: tapName(machine.id) }, fd) }),
        waiting: state !== undefined,
        runDir: machine.vmmDir,
        memory: memoryOf(machine, state, witness),
        leases: context.leases,
      });
      const [startedTpm, vmm] = await both(tpm.started, startingVmm);
      if (state !== undefined) await loadDevices(machine, vmm, devicesOf(state), state.card);
      return {
        tpm: jailed(startedTpm),
        vmm: jailed(vmm),
        ...(witness === undefined ? {} : { witness: jailed(witness) }),
      };
    },
    holdTemplate: (order) => HeldTemplate.hold(order),
    copy: (machine, boot, memoryMiB) => copyMachine(machine, boot, memoryMiB),
    // QEMU ends with 0 when its guest powers down, by our order or not; killed or crashed it ends otherwise.
    poweredOff: async (machine, { vmm }) => (await readExitCode({ uid: vmm.uid, runDir: machine.vmmDir })) === 0,
    status: async (machine, boot) => {
      try {
        return await withMonitor(machine, boot, async (qmp) => {
          const { running } = await qmp.query('query-status', (reply) => statusSchema.safeParse(reply).data);
          return running ? 'running' : 'paused';
        });
      } catch {
        return undefined; // gone in this moment, or silent: /proc says which
      }
    },
    goOn: async (machine, boot) => {
      try {
        return await withMonitor(machine, boot, async (qmp) => {
          const { status } = await qmp.query('query-status', (reply) => statusSchema.safeParse(reply).data);
          if (status !== NO_ROOM) return false;
          await qmp.execute('cont', {}, QMP_TIMEOUT_MS);
          return true;
        });
      } catch {
        return false; // the next sweep asks again
      }
    },
    pause: (machine, boot) =>
      withMonitor(machine, boot, async (qmp) => void (await qmp.execute('stop', {}, QMP_TIMEOUT_MS))),
    setCard: (machine, boot, mac) =>
      withMonitor(machine, boot, async (qmp) => void (await setCard(qmp, mac, QMP_TIMEOUT_MS))),
    resume: (machine, boot) => withMonitor(machine, boot, goOn),
    powerDown: (machine, boot) =>
      withMonitor(machine, boot, async (qmp) => void (await qmp.execute('system_powerdown', {}, QMP_TIMEOUT_MS))),
    quit: (machine, boot) =>
      withMonitor(machine, boot, async (qmp) => void (await qmp.execute('quit', {}, QMP_TIMEOUT_MS))),
  };
}

/** With what failed first; but neither is under way any more then, so that whoever ends their jails finds them. */
async function both<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  try {
    return await Promise.all([one, other]);
  } finally {
    await Promise.allSettled([one, other]);
  }
}

/** Of a system of the machine's own, with the witness that stands before it. */
async function startTpmOf(
  context: TpmContext,
  machine: MachineLayout,
  { isForeign, state }: { readonly isForeign: boolean; readonly state: SavedState | undefined },
): Promise<{ readonly tpm: StartingTpm; readonly witness?: StartedWitness }> {
  if (!isForeign) return { tpm: await openMachineTpm(context, machine) };
  const tpm = await openWitnessedMachineTpm(context, machine, state !== undefined);
  return { tpm, witness: await startMachineWitness(context, machine, tpm, state !== undefined) };
}

function memoryOf(
  { memoryDir: dir, witnessStates }: MachineLayout,
  state: SavedState | undefined,
  witness: StartedWitness | undefined,
): VmmMemory {
  if (state === undefined) return { dir };
  if ('template' in state) return { template: HeldTemplate.of(state.template).memory };
  const { fillMemory, witness: seen } = state;
  if (witness === undefined || seen === undefined) return { dir, fill: fillMemory };
  return {
    dir,
    // The first that a VMM does is to ask its TPM what it is.
    fill: async (memory, signal) => {
      await fillMemory(memory, signal);
      await loadWitness(await connectToVmm(witnessStates, witness.uid), seen());
    },
  };
}

/** Once memory is filled. */
function devicesOf(state: SavedState): Uint8Array {
  return 'template' in state ? HeldTemplate.of(state.template).devices : state.devices();
}

function jailed({ process, uid }: StartedJail): { pid: number; startTime: number; uid: number } {
  return { pid: process.pid, startTime: process.startTime, uid };
}
