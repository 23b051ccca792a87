// Starts a program in a jail of its own, and ends it with everything that was made for it. What must be undone is
// written down (in the lease) before it is made, so that a crash in between leaves nothing that `endJail` cannot find.
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError, type ErrorCode } from '@ringwall/api';
import {
  FIRST_CHILD_FD,
  isAlive,
  killProcess,
  readStat,
  refOf,
  spawnDetached,
  type ChildDescriptor,
  type ExitStatus,
  type ProcessRef,
} from '../exec/index.ts';
import { createCgroup, limitMemory, readCgroupLayout, removeCgroup, type CgroupLimits } from './cgroup.ts';
import { compileJail, type JailFile, type JailLimits, type NetworkCapability } from './compile.ts';
import { closeDeviceNode, openDeviceNode } from './devices.ts';
import { FilledMemory, type JailMemory } from './filled-memory.ts';
import { processesOf, type Lease, type UidLeases } from './leases.ts';
import { seccompFilter, type SeccompProfile } from './profiles.ts';
import { memoryFileOf } from './memory-file.ts';
import { giveDir } from './owned-dir.ts';
import { closeRunDir, openRunDir, readRunFile } from './rundir.ts';

/** Namespaces, binds and the start of the program take some 50 ms; on a host with twenty programs for each processor, or one that swaps, seconds. */
const START_TIMEOUT_MS = 45_000;
/** Short beside that. */
const START_POLL_MS = 2;
/** How long bwrap may take to notice the end of its program: milliseconds, but for a host whose processors are all taken. */
const REAP_TIMEOUT_MS = 15_000;
/** What an error repeats of a program's own last words. */
const LOG_TAIL_BYTES = 2_000;
const LOG_TAIL_LINES = 5;
/** The signal of a call that a filter forbids, signal(7). */
const SIGSYS = 31;
/** stdout and stderr of the program. */
const LOG_NAME = 'log';
const TUN = '/dev/net/tun';
/** bwrap looks there for it after its fork, in the process that becomes the program. */
const OWN_DESCRIPTORS = '/proc/self/fd';
const URANDOM = '/dev/urandom';
const STATUS_NAME = 'jail';
const STATUS_LIMIT_BYTES = 4_096;

export interface JailOptions {
  /** E.g. `mch_… vmm`. */
  readonly purpose: string;
  /** Names its cgroup, e.g. `mch_…-vmm`. */
  readonly name: string;
  readonly leases: UidLeases;
  /** Becomes a file system of its own, where the process finds it as /run. */
  readonly runDir: string;
  readonly runDirBytes: number;
  readonly cgroup: CgroupLimits;
  readonly limits: JailLimits;
  readonly profile: SeccompProfile;
  readonly readOnly: readonly JailFile[];
  /** A directory of the host that lasts longer than the process: its, and writable, while it runs. */
  readonly ownedDir?: JailFile;
  /** Memory that it maps from a file. */
  readonly memory?: JailMemory;
  /**
   * A directory in which it finds its own descriptors by their numbers (proc_pid_fd(5)), and nothing else: for a program that opens only
   * what has a path. Broken into, it opens by it anew what it has open already, with what rights its uid has to that file, and reads what
   * its files are called on the host. So it is given nothing that others may write to, but for what the kernel has sealed, and no directory.
   */
  readonly ownDescriptors?: string;
  /** Gives the process a device node of its own, owned by its uid. */
  readonly kvm?: boolean;
  /** It finds /dev/urandom: for programs that do not ask the kernel for random numbers by a call. */
  readonly urandom?: boolean;
  /** Shares the network that this file pins, and may attach to interfaces there that were made for its uid (tun). */
  readonly network?: string;
  /** Its rights in that network; setpriv is then among `readOnly`. */
  readonly capabilities?: readonly NetworkCapability[];
  /** It makes taps there, though it has capabilities. */
  readonly taps?: boolean;
  /** Called once the uid and the run directory are there: files that the process needs are put in place here. */
  readonly prepare?: (uid: number, runDir: string) => Promise<void>;
  readonly descriptors?: readonly ChildDescriptor[];
  /**
   * Opens one descriptor more, behind `descriptors`, and then becomes the rest of its command line: for what Node cannot
   * open. It runs before the jail is built, with our rights.
   */
  readonly launcher?: (fd: number) => readonly string[];
  /** `fd(n)` is the number that the child knows descriptor n by. */
  readonly command: (fd: (index: number) => number) => readonly string[];
  /** The code of an error that this program's end is. */
  readonly failure: ErrorCode;
}

/** Everything needed to find it again, as JSON. */
export interface Jail {
  readonly name: string;
  readonly uid: number;
  /** The program itself. */
  readonly process: ProcessRef;
  /** bwrap, which waits for it outside. */
  readonly supervisor: ProcessRef;
  readonly runDir: string;
}

export interface StartedJail extends Jail {
  /** Settles when the program has ended, for as long as we live. */
  readonly exited: Promise<ExitStatus>;
}

export async function startJail(options: JailOptions): Promise<StartedJail> {
  const layout = await readCgroupLayout();
  let lease: Lease = options.leases.acquire({
    purpose: options.purpose,
    cgroup: options.name,
    runDir: options.runDir,
    ...(options.ownedDir === undefined ? {} : { ownedDir: options.ownedDir.source }),
    ...(options.memory === undefined ? {} : { memoryDir: options.memory.dir }),
  });
  const handles: FileHandle[] = [];
  const { uid } = lease;
  try {
    await using memory = options.memory === undefined ? undefined : new FilledMemory(options.memory, uid);
    await openRunDir(options.runDir, { uid, sizeBytes: options.runDirBytes });
    if (options.ownedDir !== undefined) await giveDir(options.ownedDir.source, uid);
    await options.prepare?.(uid, options.runDir);
    // QEMU tries out on it whether the kernel has locks of open file descriptions.
    const devices: JailFile[] = [{ source: '/dev/null', target: '/dev/null' }];
    if (options.kvm === true) {
      lease = { ...lease, deviceNode: `kvm-${uid}` };
      options.leases.update(lease);
      devices.push({ source: await openDeviceNode(`kvm-${uid}`, '/dev/kvm', uid), target: '/dev/kvm' });
    }
    if (options.urandom === true) devices.push({ source: URANDOM, target: URANDOM });
    const taps = options.taps ?? options.capabilities === undefined;
    if (options.network !== undefined && taps) devices.push({ source: TUN, target: TUN });
    await memory?.opened();
    const fillsMeanwhile = options.memory?.fillsMeanwhile === true;
    const filledBytes = fillsMeanwhile ? 0 : await memory?.filledBytes();
    const memoryBytes = options.cgroup.memoryBytes - (filledBytes ?? 0);
    const cgroupDirs = await createCgroup(layout, options.name, { ...options.cgroup, memoryBytes });

    // The status of bwrap goes to a file, not to a pipe: bwrap writes to it once more at the end, when we may be gone.
    const status = await open(join(options.runDir, STATUS_NAME), 'wx', 0o600);
    const log = await open(join(options.runDir, LOG_NAME), 'ax', 0o600);
    handles.push(status, log);
    const descriptors: ChildDescriptor[] = [
      { kind: 'file', fd: status.fd },
      { kind: 'bytes', bytes: seccompFilter(options.profile) },
      ...(options.descriptors ?? []),
    ];
    const own = 2;
    const next = FIRST_CHILD_FD + descriptors.length;
    const launcher = options.launcher?.(next);
    const jail = compileJail({
      uid,
      cgroupDirs,
      limits: options.limits,
      readOnly: [
        ...options.readOnly,
        ...(options.ownDescriptors === undefined ? [] : [{ source: OWN_DESCRIPTORS, target: options.ownDescriptors }]),
      ],
      writable: [
        { source: options.runDir, target: '/run' },
        ...(options.ownedDir === undefined ? [] : [options.ownedDir]),
        ...(options.memory === undefined
          ? []
          : [{ source: memoryFileOf(options.memory.dir), target: options.memory.target }]),
      ],
      devices,
      network: options.network,
      capabilities: options.capabilities ?? [],
      statusFd: FIRST_CHILD_FD,
      seccompFd: FIRST_CHILD_FD + 1,
      lastFd: launcher === undefined ? next - 1 : next,
      command: options.command((index) => FIRST_CHILD_FD + own + index),
    });
    const supervisor = await spawnDetached([...(launcher ?? []), ...jail], { logFd: log.fd, descriptors });
    const program = await waitForProgram(options, uid, supervisor);
    lease = { ...lease, process: program };
    options.leases.update(lease);
    if (fillsMeanwhile && memory !== undefined) {
      await limitMemory(layout, options.name, options.cgroup.memoryBytes - (await memory.filledBytes()));
    }
    return {
      name: options.name,
      uid,
      process: program,
      supervisor: { pid: supervisor.pid, startTime: supervisor.startTime },
      runDir: options.runDir,
      exited: supervisor.exited,
    };
  } catch (error) {
    await endLease(options.leases, lease);
    throw error;
  } finally {
    for (const descriptor of options.descriptors ?? []) {
      if (descriptor.kind === 'socket') descriptor.socket.destroy();
    }
    for (const handle of handles) await handle.close();
  }
}

/** Ends the jail and removes everything that was made for it. Idempotent, also after a restart of ours. */
export async function endJail(jail: Pick<Jail, 'uid'>, leases: UidLeases): Promise<void> {
  const lease = leases.list().find((other) => other.uid === jail.uid);
  if (lease !== undefined) await endLease(leases, lease);
}

/** Ends whatever runs under this lease, and the lease. */
export async function endLease(leases: UidLeases, lease: Lease): Promise<void> {
  await endProcesses(lease);
  if (lease.cgroup !== undefined) await removeCgroup(await readCgroupLayout(), lease.cgroup);
  if (lease.runDir !== undefined) await closeRunDir(lease.runDir);
  if (lease.memoryDir !== undefined) await closeRunDir(lease.memoryDir);
  if (lease.ownedDir !== undefined) await giveDir(lease.ownedDir, 0);
  if (lease.deviceNode !== undefined) await closeDeviceNode(lease.deviceNode);
  leases.release(lease.uid);
}

/** Under the uid of a lease runs nothing but what the lease is for, so that all of it can go. */
async function endProcesses(lease: Lease): Promise<void> {
  if (lease.process !== undefined) await killProcess(lease.process);
  // bwrap reaps the program and ends by itself; killed before that, it would leave a zombie to whoever is init.
  const deadline = performance.now() + REAP_TIMEOUT_MS;
  while (processesOf(lease.uid).length > 0 && performance.now() < deadline) await sleep(5);

  for (let left = processesOf(lease.uid); left.length > 0; left = processesOf(lease.uid)) {
    const gone = await Promise.all(left.map((ref) => killProcess(ref)));
    if (gone.includes(false)) {
      throw new RingwallError('internal', `a process of uid ${lease.uid} (${lease.purpose}) does not end`);
    }
  }
}

/** Ends every lease whose process is gone. Answers what they were for. */
export async function reclaimLeases(leases: UidLeases): Promise<string[]> {
  const stale = leases.stale();
  for (const lease of stale) await endLease(leases, lease);
  return stale.map((lease) => lease.purpose);
}

/** What a reader of a jail's end needs to know of it. */
type EndedJail = Pick<Jail, 'uid' | 'runDir'>;

/** With what a program has ended, as a shell would say it; undefined where nobody knows. */
export async function readExitCode(jail: EndedJail): Promise<number | undefined> {
  const deadline = performance.now() + REAP_TIMEOUT_MS;
  for (;;) {
    // bwrap writes it down some moments after the program's end, and then ends: what it has not written by then, or
    // where it was killed, nobody writes any more.
    const final = processesOf(jail.uid).length === 0 || performance.now() > deadline;
    const status = await readRunFile(jail.runDir, STATUS_NAME, STATUS_LIMIT_BYTES);
    const code = parseExitCode(status?.toString('utf8') ?? '');
    if (code !== undefined || status === undefined || final) return code;
    await sleep(5);
  }
}

/** The error of a program that ended before it was up: how, and with which last words. */
export async function endedAtStart(failure: ErrorCode, purpose: string, jail: EndedJail): Promise<RingwallError> {
  return new RingwallError(failure, `${purpose} did not start: ${await readEnd(jail)}`, {
    hint: 'see what this host lacks: ringwall doctor',
  });
}

/** How a program ended and its last words, as one line, for an error. */
export async function readEnd(jail: EndedJail): Promise<string> {
  const exitCode = await readExitCode(jail);
  const words = (await readRunFile(jail.runDir, LOG_NAME, LOG_TAIL_BYTES))?.toString('utf8') ?? '';
  return describeEnd(exitCode, words);
}

/** Pure. */
export function describeEnd(exitCode: number | undefined, words: string): string {
  const said = words
    .replaceAll(/[^\x20-\x7e\n]/g, '?')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-LOG_TAIL_LINES)
    .join(' | ');
  const signal = exitCode !== undefined && exitCode > 128 && exitCode <= 128 + 64 ? exitCode - 128 : undefined;
  const end =
    exitCode === undefined
      ? ''
      : signal === SIGSYS
        ? 'killed by its system call filter'
        : signal === undefined
          ? `status ${exitCode}`
          : `signal ${signal}`;
  return [end, said].filter(Boolean).join(': ') || 'it said nothing';
}

async function waitForProgram(options: JailOptions, uid: number, supervisor: ProcessRef): Promise<ProcessRef> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const status = await readRunFile(options.runDir, STATUS_NAME, STATUS_LIMIT_BYTES);
    const pid = parseChildPid(status?.toString('utf8') ?? '');
    const stat = pid === undefined ? undefined : readStat(pid);
    // Until its exec, the child is still bwrap at its work.
    const program = stat === undefined || stat.command === 'bwrap' ? undefined : refOf(stat.pid);
    if (program !== undefined && isAlive(program)) return program;
    if (!isAlive(supervisor)) {
      throw await endedAtStart(options.failure, options.purpose, { uid, runDir: options.runDir });
    }
    if (performance.now() > deadline) {
      throw new RingwallError(options.failure, `${options.purpose} did not start within ${START_TIMEOUT_MS / 1000} s`);
    }
    await sleep(START_POLL_MS);
  }
}

/** Pure: the first document of bwrap's --json-status-fd. */
export function parseChildPid(status: string): number | undefined {
  const pid = /"child-pid"\s*:\s*([1-9]\d*)/.exec(status)?.[1];
  return pid === undefined ? undefined : Number(pid);
}

/** Pure: its last document, written when the program has ended. */
export function parseExitCode(status: string): number | undefined {
  const code = /"exit-code"\s*:\s*(\d+)/.exec(status)?.[1];
  return code === undefined ? undefined : Number(code);
}
