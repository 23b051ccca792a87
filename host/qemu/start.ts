// Starts a machine's VMM in its jail and waits until it answers on its monitor, or has ended.
import { constants } from 'node:fs';
import { chown, copyFile, open, type FileHandle } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError } from '@ringwall/api';
import { isAlive, run, waitForExit, type ProcessRef } from '../exec/index.ts';
import {
  endedAtStart,
  endJail,
  feedKeyPipe,
  makeKeyPipe,
  readClosure,
  startJail,
  type Jail,
  type JailFile,
  type JailMemory,
  type StartedJail,
  type UidLeases,
} from '../jail/index.ts';
import type { MemoryTemplate } from '../memory/index.ts';
import { keyPathOf, QEMU, QEMU_TCG_MODULE, qemuArgv, VMM_PATHS, type Accelerator } from './argv.ts';
import { isRecord, QmpClient } from './qmp.ts';

/** From exec to the monitor's greeting QEMU takes 0.2 s here; a loaded host may take longer. */
const READY_TIMEOUT_MS = 20_000;
/** Short beside that. */
const READY_POLL_MS = 3;

/** What QEMU needs beside the guest's memory: its own code and heap, device queues, boot files, I/O buffers. */
const OVERHEAD_MIB = { kvm: 256, tcg: 256 + 320 } as const;
/** Up to 64 workers for disk I/O, a thread for each processor, and QEMU's own. */
const THREADS_BESIDE_CPUS = 96;
/** Processor time for QEMU's own threads beside the guest's. */
const CPUS_BESIDE_GUEST = 1;
const OPEN_FILES_LIMIT = 512;
/** Console log, QEMU's log, a copy of the firmware's variables. */
export const VMM_RUN_DIR_BYTES: number = 8 * 1024 * 1024;
/** A monitor answers in milliseconds; QEMU holds its lock for longer only while a disk does not answer. */
const MONITOR_TIMEOUT_MS = 3_000;
const MIB = 1024 * 1024;

/** What QEMU loads by itself from its directory of ROMs for `-kernel` on q35; the first two also without firmware. */
const ROMS: readonly string[] = ['/usr/share/qemu/kvmvapic.bin', '/usr/share/qemu/linuxboot_dma.bin'];

export interface VmmOptions {
  readonly machine: string;
  readonly accelerator: Accelerator;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly firmwareCode: string;
  /** The pristine variables, copied for this boot. */
  readonly firmwareVariables: string;
  /** What is booted; absent where the boot loader on the first of `encrypted` is. */
  readonly direct?: {
    readonly kernel: string;
    readonly initrd: string;
    readonly commandLine: string;
    /** Read-only. It and the machine's disks are opened here, so that no path of them is in the jail. */
    readonly systemImage: string;
    readonly dataDisk: string;
  };
  /** Further disks, which QEMU encrypts with keys that it is given now. */
  readonly encrypted?: readonly EncryptedDisk[];
  /** As `VmmArguments.waiting`. */
  readonly waiting?: boolean;
  /** As `VmmArguments.savedCard`. */
  readonly savedCard?: string;
  /** As `VmmArguments.tpm`. */
  readonly tpm: { readonly channel: 'control' | 'commands'; readonly socket: Socket };
  /** Opens the tap of its card, as descriptor `fd`, and becomes what follows (host/network/tap.ts). */
  readonly openTap?: (fd: number) => readonly string[];
  /** What the VMM writes: an empty or absent directory. */
  readonly runDir: string;
  readonly memory: VmmMemory;
  readonly leases: UidLeases;
}

/** Of a guest: a file of its own in `dir`, which is empty or absent, filled as by `JailMemory.fill`; or what a template has. */
export type VmmMemory = ({ readonly dir: string } & Pick<JailMemory, 'fill'>) | { readonly template: MemoryTemplate };

/** A LUKS file and what opens it. */
export interface EncryptedDisk {
  /** The guest finds it by this; up to 20 letters and digits. */
  readonly serial: string;
  readonly path: string;
  /** The passphrase: UTF-8, as QEMU wants it. */
  readonly key: Uint8Array;
}

/** What is needed to find a VMM again. */
export type VmmRef = Pick<Jail, 'process' | 'runDir'>;

/** Host paths of a running VMM's sockets. What lies there is the VMM's to choose: connect, never open. */
export interface VmmSockets {
  readonly qmp: string;
  readonly console: string;
  readonly attest: string;
  readonly state: string;
  readonly disk: string;
}

export function vmmSockets(runDir: string): VmmSockets {
  const inRunDir = (path: string): string => join(runDir, basename(path));
  return {
    qmp: inRunDir(VMM_PATHS.qmp),
    console: inRunDir(VMM_PATHS.console),
    attest: inRunDir(VMM_PATHS.attest),
    state: inRunDir(VMM_PATHS.state),
    disk: inRunDir(VMM_PATHS.disk),
  };
}

export const CONSOLE_LOG_NAME: string = basename(VMM_PATHS.consoleLog);

export async function startVmm(options: VmmOptions): Promise<StartedJail> {
  const files: FileHandle[] = [];
  const { direct, tpm, openTap, memory } = options;
  try {
    if (direct !== undefined) {
      files.push(await openDisk(direct.systemImage, constants.O_RDONLY));
      files.push(await openDisk(direct.dataDisk, constants.O_RDWR));
    }
    const encrypted: (EncryptedDisk & { readonly handle: FileHandle })[] = [];
    for (const disk of options.encrypted ?? []) {
      const handle = await openDisk(disk.path, constants.O_RDWR);
      files.push(handle);
      encrypted.push({ ...disk, handle });
    }
    const sizes = await Promise.all(files.map((file) => file.stat()));
    if ('template' in memory) files.push(await memory.template.open());
    const purpose = `${options.machine} vmm`;
    const jail = await startJail({
      purpose,
      name: `${options.machine}-vmm`,
      leases: options.leases,
      runDir: options.runDir,
      runDirBytes: VMM_RUN_DIR_BYTES,
      ...('template' in memory
        ? { ownDescriptors: VMM_PATHS.descriptors }
        : {
            memory: {
              ...memory,
              ...{ bytes: options.memoryMiB * MIB, target: VMM_PATHS.memory },
              fillsMeanwhile: usesNothingYet(options),
            },
          }),
      cgroup: vmmCgroupLimits(options),
      limits: {
        openFiles: OPEN_FILES_LIMIT,
        fileBytes: Math.max(...sizes.map(({ size }) => size), VMM_RUN_DIR_BYTES),
        tasks: options.cpus + THREADS_BESIDE_CPUS,
      },
      profile: options.accelerator === 'kvm' ? 'vmm-kvm' : 'vmm-tcg',
      kvm: options.accelerator === 'kvm',
      readOnly: [
        ...(await vmmProgramFiles(options.accelerator)),
        { source: options.firmwareCode, target: VMM_PATHS.firmwareCode },
        ...(direct === undefined
          ? []
          : [
              { source: direct.kernel, target: VMM_PATHS.kernel },
              { source: direct.initrd, target: VMM_PATHS.initrd },
            ]),
      ],
      prepare: async (uid, runDir) => {
        const copy = join(runDir, basename(VMM_PATHS.firmwareVariables));
        await copyFile(options.firmwareVariables, copy, constants.COPYFILE_EXCL);
        await chown(copy, uid, uid);
        for (const index of encrypted.keys()) await makeKeyPipe(runDir, basename(keyPathOf(index)), uid);
      },
      descriptors: [{ kind: 'socket', socket: tpm.socket }, ...files.map(({ fd }) => ({ kind: 'file', fd }) as const)],
      command: (fd) => {
        const { machine, accelerator, cpus, memoryMiB } = options;
        const firstEncrypted = 1 + (direct === undefined ? 0 : 2);
        return qemuArgv({
          machine,
          accelerator,
          cpus,
          memoryMiB,
          ...('template' in memory ? { templateFd: fd(files.length) } : {}),
          ...(direct === undefined
            ? {}
            : {
                direct: {
                  commandLine: direct.commandLine,
                  systemFd: fd(1),
                  data: { fd: fd(2), bytes: sizes[1]?.size ?? 0 },
                },
              }),
          encrypted: encrypted.map(({ serial }, index) => ({ serial, fd: fd(firstEncrypted + index) })),
          tpm: { channel: tpm.channel, fd: fd(0) },
          ...(openTap === undefined ? {} : { tapFd: fd(1 + files.length) }),
          waiting: options.waiting === true,
          ...(options.savedCard === undefined ? {} : { savedCard: options.savedCard }),
        });
      },
      ...(openTap === undefined ? {} : { launcher: openTap }),
      failure: 'vmm-failed',
    });
    try {
      // In the order of the command line, which is the order in which QEMU reads them.
      for (const [index, { key }] of encrypted.entries()) {
        await feedKeyPipe(purpose, jail, { name: basename(keyPathOf(index)), key, failure: 'vmm-failed' });
      }
      await waitUntilReady(purpose, jail);
      return jail;
    } catch (error) {
      await endJail(jail, options.leases);
      throw error;
    }
  } finally {
    tpm.socket.destroy();
    for (const file of files) await file.close();
  }
}

/**
 * A VMM that waits for its devices touches neither the memory of its guest nor the disk that its guest has encrypted before it is told
 * to load them (docs/decisions/2026-11-22-a-vmm-waits-for-its-memory.md). But it reads the header of a disk that it encrypts itself, and
 * asks a witness, which is what it was once all is filled.
 */
function usesNothingYet({ waiting, encrypted = [], tpm }: VmmOptions): boolean {
  return waiting === true && encrypted.length === 0 && tpm.channel === 'control';
}

export function vmmCgroupLimits(vm: Pick<VmmOptions, 'accelerator' | 'cpus' | 'memoryMiB'>): {
  memoryBytes: number;
  tasks: number;
  cpus: number;
} {
  return {
    memoryBytes: (vm.memoryMiB + OVERHEAD_MIB[vm.accelerator]) * MIB,
    tasks: vm.cpus + THREADS_BESIDE_CPUS,
    cpus: vm.cpus + CPUS_BESIDE_GUEST,
  };
}

/** QEMU itself with its libraries and ROMs. */
export async function vmmProgramFiles(accelerator: Accelerator, roms: readonly string[] = ROMS): Promise<JailFile[]> {
  return [
    ...(await readClosure(run, accelerator === 'tcg' ? [QEMU, QEMU_TCG_MODULE] : [QEMU])),
    ...roms.map((source) => ({ source, target: `${VMM_PATHS.roms}/${basename(source)}` })),
  ];
}

/**
 * Asks the guest to power down as by its power button; false where it is still there when the time is over. QEMU's
 * monitor serves one connection at a time: whoever holds one passes it as `qmp`.
 */
export async function powerDown(vmm: VmmRef, graceMs: number, qmp?: QmpClient): Promise<boolean> {
  if (!isAlive(vmm.process)) return true;
  try {
    await withMonitor(vmm, qmp, (monitor) => monitor.execute('system_powerdown', {}, MONITOR_TIMEOUT_MS));
  } catch {
    // A monitor that does not answer is ended by the caller, as a guest that does not.
    return !isAlive(vmm.process);
  }
  return waitForExit(vmm.process, graceMs);
}

export type MachineState = 'running' | 'paused' | 'tpm-dead' | 'vmm-dead';

/**
 * What runs of a machine now: seen from /proc, and from QEMU's monitor. One whose monitor does not answer counts as
 * paused: it does not do what it should.
 */
export async function readMachineState(
  parts: { readonly vmm: VmmRef; readonly tpm: { readonly process: ProcessRef } },
  qmp?: QmpClient,
): Promise<MachineState> {
  if (!isAlive(parts.vmm.process)) return 'vmm-dead';
  if (!isAlive(parts.tpm.process)) return 'tpm-dead';
  try {
    const running = await withMonitor(parts.vmm, qmp, (monitor) =>
      monitor.query('query-status', parseRunning, MONITOR_TIMEOUT_MS),
    );
    return running ? 'running' : 'paused';
  } catch {
    return isAlive(parts.vmm.process) ? 'paused' : 'vmm-dead';
  }
}

function parseRunning(reply: unknown): boolean | undefined {
  return isRecord(reply) && typeof reply['running'] === 'boolean' ? reply['running'] : undefined;
}

async function withMonitor<T>(
  vmm: VmmRef,
  qmp: QmpClient | undefined,
  use: (monitor: QmpClient) => Promise<T>,
): Promise<T> {
  if (qmp !== undefined) return use(qmp);
  await using own = await QmpClient.connect(vmmSockets(vmm.runDir).qmp, MONITOR_TIMEOUT_MS);
  return await use(own);
}

async function waitUntilReady(purpose: string, jail: StartedJail): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    try {
      await using _ = await QmpClient.connect(vmmSockets(jail.runDir).qmp, READY_TIMEOUT_MS);
      return;
    } catch (cause) {
      // Whether it lived long enough to be seen by `startJail` depends on the host's load; what is said does not.
      if (!isAlive(jail.process)) throw await endedAtStart('vmm-failed', purpose, jail);
      if (performance.now() > deadline) {
        throw new RingwallError('vmm-failed', `QEMU did not answer within ${READY_TIMEOUT_MS / 1000} s`, { cause });
      }
    }
    await sleep(READY_POLL_MS);
  }
}

async function openDisk(path: string, mode: number): Promise<FileHandle> {
  const failed = (cause?: unknown): RingwallError =>
    new RingwallError('vmm-failed', `the disk ${path} could not be opened as a file`, { cause });
  const handle = await open(path, mode | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw failed(cause);
  });
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw failed();
}
