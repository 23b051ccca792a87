// Joins the warden to what host/qemu does with the state of a machine: copying one that runs, and loading what was copied.
import { once } from 'node:events';
import type { FileHandle } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { RingwallError } from '@ringwall/api';
import {
  connectToVmm,
  type MachineCopy,
  type MachineLayout,
  type RunningBoot,
  type SaveOrder,
} from '@ringwall/control/warden';
import { waitForExit } from '@ringwall/host/exec';
import { readEnd, readMemoryFile, type StartedJail } from '@ringwall/host/jail';
import { MemoryCopy } from '@ringwall/host/memory';
import {
  DATA_NODE,
  expectDevices,
  goOn,
  listenForState,
  resumeLoaded,
  saveDevices,
  VMM_PATHS,
  Writes,
  type Extent,
  type QmpClient,
  type StateSocket,
} from '@ringwall/host/qemu';
import { withMonitor } from './monitor.ts';

const EXIT_TIMEOUT_MS = 2_000;
const MIB = 2 ** 20;
/** Devices are less than a megabyte; the firmware's variables and a TPM's state come on top. */
const MAX_DEVICES_BYTES: number = 64 * MIB;

/** The monitor is held only for each step: others must get to it while a disk is copied. */
export async function copyMachine(machine: MachineLayout, boot: RunningBoot, memoryMiB: number): Promise<MachineCopy> {
  const connect = (): ReturnType<typeof connectToVmm> => connectToVmm(machine.diskSocket, boot.vmm.uid);
  const disk = { node: DATA_NODE, socket: VMM_PATHS.disk, connect };
  const memory = await readMemoryFile(machine.memoryDir, memoryMiB * MIB);
  try {
    const writes = await withMonitor(machine, boot, (qmp) => Writes.track(qmp, disk));
    return new Copy({ machine, boot, writes, memory, memoryBytes: memoryMiB * MIB });
  } catch (error) {
    await memory.close();
    throw error;
  }
}

interface Copied {
  readonly machine: MachineLayout;
  readonly boot: RunningBoot;
  readonly writes: Writes;
  readonly memory: FileHandle;
  readonly memoryBytes: number;
}

class Copy implements MachineCopy {
  readonly #of: Copied;
  /** While the guest stands still the monitor is held, and this is it. */
  #held: QmpClient | undefined;
  #memory: MemoryCopy | undefined;

  constructor(of: Copied) {
    this.#of = of;
  }

  data(): Promise<readonly Extent[]> {
    return this.#ask((qmp) => this.#of.writes.readData(qmp));
  }

  written(): Promise<readonly Extent[]> {
    return this.#ask((qmp) => this.#of.writes.turn(qmp));
  }

  writtenBytes(): Promise<number> {
    return this.#ask((qmp) => this.#of.writes.count(qmp));
  }

  async copyMemory(maxBytes: number): Promise<boolean> {
    const { memory, memoryBytes: bytes } = this.#of;
    try {
      this.#memory = await MemoryCopy.make({ descriptor: memory.fd, bytes, maxBytes });
      // What was written while it was made: what is left now was written while this little was looked at.
      await this.#memory.refresh();
      return true;
    } catch (error) {
      if (error instanceof RingwallError && error.code === 'host-full') return false;
      throw error;
    }
  }

  async save(order: SaveOrder): Promise<{ pauseMs: number }> {
    const { machine, boot } = this.#of;
    await using socket = await listenForState({ runDir: machine.vmmDir, uid: boot.vmm.uid });
    return await withMonitor(machine, boot, async (qmp) => {
      this.#held = qmp;
      const startedMs = performance.now();
      try {
        await qmp.execute('stop');
        await this.#whileStopped(qmp, socket, order);
      } finally {
        this.#held = undefined;
        await goOn(qmp);
      }
      return { pauseMs: performance.now() - startedMs };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#memory?.[Symbol.asyncDispose]();
    await this.#of.memory.close();
    await this.#ask((qmp) => this.#of.writes.end(qmp)).catch(() => undefined); // it ended, and its bitmaps with it
  }

  async #whileStopped(qmp: QmpClient, socket: StateSocket, order: SaveOrder): Promise<void> {
    const memory = this.#memory?.refresh();
    memory?.catch(() => undefined); // told below
    // Before QEMU lets go of its disks, which it does when its devices are out.
    const written = await this.#of.writes.turn(qmp);
    const saving = saveDevices(qmp, VMM_PATHS.state);
    const [devices] = await Promise.all([
      Promise.race([socket.connected, saving.then(() => socket.connected)]).then(readDevices),
      saving,
      order.takeWritten(written),
      memory,
    ]);
    await order.takeState({ devices, memory: this.#memory?.memory ?? this.#of.memory.fd });
  }

  #ask<T>(use: (qmp: QmpClient) => Promise<T>): Promise<T> {
    return this.#held === undefined ? withMonitor(this.#of.machine, this.#of.boot, use) : use(this.#held);
  }
}

async function readDevices(stream: Socket): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_DEVICES_BYTES) {
      throw new RingwallError('vmm-failed', `QEMU's devices are more than ${MAX_DEVICES_BYTES} bytes`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** The guest goes on once they are all there. */
export async function loadDevices(machine: MachineLayout, vmm: StartedJail, devices: Uint8Array): Promise<void> {
  await withMonitor(machine, { vmm }, (qmp) => expectDevices(qmp, VMM_PATHS.state));
  const into = await connectToVmm(machine.stateSocket, vmm.uid);
  const closed = once(into, 'close').catch(() => undefined); // a VMM that has refused them, or has all of them
  into.resume();
  into.end(devices);
  await closed;
  try {
    await withMonitor(machine, { vmm }, resumeLoaded);
  } catch (cause) {
    if (!(await waitForExit(vmm.process, EXIT_TIMEOUT_MS))) throw cause;
    throw new RingwallError('vmm-failed', `QEMU did not take the state: ${await readEnd(vmm)}`, { cause });
  }
}
