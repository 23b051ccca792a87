// Joins the warden to what host/qemu does with the state of a machine: copying one that runs, and loading what was copied.
import type { FileHandle } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import {
  connectToVmm,
  MAX_DEVICES_BYTES,
  type CopyMachineOrder,
  type DiskExtents,
  type MachineCopy,
  type MachineLayout,
  type RunningBoot,
  type SavedCard,
  type SaveOrder,
} from '@ringwall/control/warden';
import { waitForExit } from '@ringwall/host/exec';
import { readEnd, readMemoryFile, type StartedJail } from '@ringwall/host/jail';
import { MemoryCopy, type PageDigests } from '@ringwall/host/memory';
import { borrowCrew, type Crew } from '@ringwall/host/threads';
import { saveWitness } from '@ringwall/host/witness';
import {
  cutLine,
  DATA_NODE,
  encryptedNode,
  expectDevices,
  goOn,
  hasCard,
  listenForState,
  prepareToSave,
  readState,
  resumeLoaded,
  saveDevices,
  sendState,
  VMM_PATHS,
  Writes,
  type QmpClient,
  type StateSocket,
} from '@ringwall/host/qemu';
import { withMonitor } from './monitor.ts';

const EXIT_TIMEOUT_MS = 2_000;
const MIB = 2 ** 20;

/** The monitor is held only for each step: others must get to it while a disk is copied. */
export async function copyMachine(
  machine: MachineLayout,
  boot: RunningBoot,
  order: CopyMachineOrder,
): Promise<MachineCopy> {
  const memoryBytes = order.memoryMiB * MIB;
  const connect = (): ReturnType<typeof connectToVmm> => connectToVmm(machine.diskSocket, boot.vmm.uid);
  // What is in the way is said before anything is copied.
  await witnessOf(machine, boot);
  // A system of its own boots an imported disk, and is given no other.
  const own = boot.witness === undefined ? [DATA_NODE] : [];
  const nodes = [...own, ...order.disks.map((_, index) => encryptedNode(index))];
  const memory = await readMemoryFile(machine.memoryDir, memoryBytes);
  const crew = borrowCrew();
  try {
    return await withMonitor(machine, boot, async (qmp) => {
      const { before } = order;
      const writes = await ofEach(nodes, (node) =>
        Writes.track(qmp, { node, socket: VMM_PATHS.disk, connect }, before),
      );
      const known = before === undefined ? [] : await ofEach(writes, (disk) => disk.readSince(qmp, before));
      const since = known.flatMap((extents) => (extents === undefined ? [] : [extents]));
      return new Copy({ machine, boot, order, writes, since, memory, memoryBytes, crew });
    });
  } catch (error) {
    crew[Symbol.dispose]();
    await memory.close();
    throw error;
  }
}

interface Copied {
  readonly machine: MachineLayout;
  readonly boot: RunningBoot;
  readonly order: CopyMachineOrder;
  /** To each of its disks. */
  readonly writes: readonly Writes[];
  /** What was written to each since the copy before, as far as QEMU knows. */
  readonly since: DiskExtents;
  readonly memory: FileHandle;
  readonly memoryBytes: number;
  readonly crew: Crew;
}

/** What it has seen, and the TPM; empty for a machine that has none. */
async function witnessOf(
  { witnessStates }: MachineLayout,
  { witness }: RunningBoot,
): Promise<{ readonly witness?: Uint8Array }> {
  if (witness === undefined) return {};
  return { witness: await saveWitness(await connectToVmm(witnessStates, witness.uid)) };
}

class Copy implements MachineCopy {
  readonly #of: Copied;
  /** While the guest stands still the monitor is held, and this is it. */
  #held: QmpClient | undefined;
  #memory: MemoryCopy | undefined;
  /** What the copy of memory is worked on by is its owner's to give back, once that is another. */
  #isGiven = false;

  constructor(of: Copied) {
    this.#of = of;
  }

  get continues(): boolean {
    return this.#of.since.length === this.#of.writes.length;
  }

  async data(): Promise<DiskExtents> {
    const data = this.continues ? this.#of.since : await this.#ofEachDisk((disk, qmp) => disk.readData(qmp));
    return this.#withOwn(data);
  }

  async written(): Promise<DiskExtents> {
    return this.#withOwn(await this.#ofEachDisk((disk, qmp) => disk.turn(qmp)));
  }

  async writtenBytes(): Promise<number> {
    const counts = await this.#ofEachDisk((disk, qmp) => disk.count(qmp));
    return counts.reduce((sum, bytes) => sum + bytes, 0);
  }

  async copyMemory(maxBytes: number, before: PageDigests | undefined): Promise<boolean> {
    const { memory, memoryBytes: bytes, crew } = this.#of;
    try {
      this.#memory = await MemoryCopy.make({ crew, descriptor: memory.fd, bytes, maxBytes, before });
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
      await prepareToSave(qmp);
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
    if (!this.#isGiven) this.#of.crew[Symbol.dispose]();
    await this.#of.memory.close();
    await this.#ofEachDisk((disk, qmp) => disk.end(qmp)).catch(() => undefined); // it ended, and its bitmaps with it
  }

  async #whileStopped(qmp: QmpClient, socket: StateSocket, order: SaveOrder): Promise<void> {
    const copy = this.#memory;
    const refreshed = copy?.refresh();
    refreshed?.catch(() => undefined); // told below
    const { card, looseCard } = this.#of.boot;
    const mac = card?.mac ?? looseCard?.mac;
    // Whether it is there now, QEMU knows: a guest lets go of a card when it likes, or not at all.
    const isPlugged = mac !== undefined && (await hasCard(qmp));
    // Before QEMU lets go of its disks, which it does when its devices are out.
    const written = await this.#ofEachDisk((disk) => disk.turn(qmp, this.#of.order.name));
    const saving = saveDevices(qmp, VMM_PATHS.state);
    const [devices] = await Promise.all([
      Promise.race([socket.connected, saving.then(() => socket.connected)]).then((stream) =>
        readState(stream, MAX_DEVICES_BYTES),
      ),
      saving,
      order.takeWritten(this.#withOwn(written)),
      refreshed,
    ]).finally(() => Promise.allSettled([refreshed])); // threads read a file that is closed then
    // QEMU waits for no answer of its TPM's any more.
    const seen = await witnessOf(this.#of.machine, this.#of.boot);
    const state = { devices, ...seen, ...(isPlugged ? { card: { mac } } : {}) };
    if (copy === undefined) {
      await order.takeState({ ...state, memory: this.#of.memory.fd });
      return;
    }
    const { crew } = this.#of;
    const { memory, zeros } = copy;
    this.#isGiven = true;
    const copied = {
      zeros,
      crew,
      digest: () => copy.digest(),
      [Symbol.dispose]: () => crew[Symbol.dispose](),
    };
    await order.takeState({ ...state, memory, copied });
  }

  /** The machine's own disk is first, also where its VMM does not have it. */
  #withOwn(extents: DiskExtents): DiskExtents {
    return this.#of.boot.witness === undefined ? extents : [[], ...extents];
  }

  #ofEachDisk<T>(use: (disk: Writes, qmp: QmpClient) => Promise<T>): Promise<T[]> {
    return this.#ask((qmp) => ofEach(this.#of.writes, (disk) => use(disk, qmp)));
  }

  #ask<T>(use: (qmp: QmpClient) => Promise<T>): Promise<T> {
    return this.#held === undefined ? withMonitor(this.#of.machine, this.#of.boot, use) : use(this.#held);
  }
}

/** One after the other: QEMU serves the bitmaps of one disk at a time. */
async function ofEach<Of, T>(all: readonly Of[], work: (one: Of) => Promise<T>): Promise<T[]> {
  const done: T[] = [];
  for (const one of all) done.push(await work(one));
  return done;
}

/** The guest goes on once they are all there. */
export async function loadDevices(
  machine: MachineLayout,
  vmm: StartedJail,
  devices: Uint8Array,
  card: SavedCard | undefined,
): Promise<void> {
  try {
    await withMonitor(machine, { vmm }, async (qmp) => {
      await expectDevices(qmp, VMM_PATHS.state);
      const into = await connectToVmm(machine.stateSocket, vmm.uid);
      await sendState(into, devices);
      await resumeLoaded(qmp, card === undefined ? undefined : () => cutLine(qmp));
    });
  } catch (cause) {
    if (!(await waitForExit(vmm.process, EXIT_TIMEOUT_MS))) throw cause;
    throw new RingwallError('vmm-failed', `QEMU did not take the state: ${await readEnd(vmm)}`, { cause });
  }
}
