// Puts a process under limits of memory, tasks and processor time. A host may have each controller in the unified
// hierarchy (v2) or in one of its own (v1), both at once included: each is looked for where it is.
// Kernel documentation: admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1/.
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError } from '@ringwall/api';

export const CGROUP_CONTROLLERS = ['memory', 'pids', 'cpu'] as const;
export type CgroupController = (typeof CGROUP_CONTROLLERS)[number];

/** All cgroups of Ringwall lie in this one of each hierarchy. */
const PARENT = 'ringwall';
const CGROUP_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;
/** Processor time is shared out in periods of this length, the kernel's default. */
const CPU_PERIOD_US = 100_000;
const CREATE_ATTEMPTS = 5;
/** A killed process leaves its cgroup some moments after its exit. */
const REMOVE_TIMEOUT_MS = 5_000;

export interface CgroupLayout {
  readonly controllers: Readonly<Partial<Record<CgroupController, { version: 1 | 2; mount: string }>>>;
}

export interface CgroupLimits {
  readonly memoryBytes: number;
  readonly tasks: number;
  /** 1.5 = one processor and a half. */
  readonly cpus: number;
}

/** One limit: the file that sets it, and that is read to see whether it holds. */
export interface CgroupLimitFile {
  readonly controller: CgroupController;
  readonly file: string;
  readonly value: string;
  /** Not every kernel has it (e.g. accounting of swap). */
  readonly optional?: boolean;
}

/** Pure: which controllers are where, from /proc/self/mountinfo and the unified hierarchy's own list. */
export function parseCgroupLayout(mountinfo: string, unifiedControllers: string): CgroupLayout {
  const controllers: Partial<Record<CgroupController, { version: 1 | 2; mount: string }>> = {};
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ', 2);
    const mount = before.split(' ')[4] ?? '';
    const [type, , options = ''] = after.split(' ');
    for (const controller of CGROUP_CONTROLLERS) {
      if (type === 'cgroup' && options.split(',').includes(controller))
        controllers[controller] ??= { version: 1, mount };
      if (type === 'cgroup2' && unifiedControllers.split(/\s+/).includes(controller)) {
        controllers[controller] = { version: 2, mount };
      }
    }
  }
  return { controllers };
}

export async function readCgroupLayout(): Promise<CgroupLayout> {
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8');
  const unified = mountinfo
    .split('\n')
    .find((line) => line.includes(' - cgroup2 '))
    ?.split(' ')[4];
  const list = unified === undefined ? '' : await readFile(join(unified, 'cgroup.controllers'), 'utf8').catch(() => '');
  return parseCgroupLayout(mountinfo, list);
}

/** Pure: the directories of a cgroup, each once. */
export function cgroupDirs(layout: CgroupLayout, name: string): string[] {
  if (!CGROUP_NAME.test(name)) throw new RingwallError('internal', `${JSON.stringify(name)} cannot name a cgroup`);
  const mounts = CGROUP_CONTROLLERS.flatMap((controller) => layout.controllers[controller]?.mount ?? []);
  return [...new Set(mounts)].map((mount) => join(mount, PARENT, name));
}

/** Pure: the files to write, in this order, with their values. */
export function compileCgroupLimits(layout: CgroupLayout, name: string, limits: CgroupLimits): CgroupLimitFile[] {
  cgroupDirs(layout, name);
  const quota = String(Math.round(limits.cpus * CPU_PERIOD_US));
  const memory = String(limits.memoryBytes);
  const wanted: Record<CgroupController, Record<1 | 2, [file: string, value: string, optional?: boolean][]>> = {
    memory: {
      // Swap would carry a guest's memory to a disk in clear. v1 wants memory.limit_in_bytes before the sum of both.
      1: [
        ['memory.limit_in_bytes', memory],
        ['memory.memsw.limit_in_bytes', memory, true],
        ['memory.swappiness', '0', true],
      ],
      2: [
        ['memory.max', memory],
        ['memory.swap.max', '0', true],
        ['memory.oom.group', '1', true],
      ],
    },
    pids: { 1: [['pids.max', String(limits.tasks)]], 2: [['pids.max', String(limits.tasks)]] },
    cpu: {
      1: [
        ['cpu.cfs_period_us', String(CPU_PERIOD_US)],
        ['cpu.cfs_quota_us', quota],
      ],
      2: [['cpu.max', `${quota} ${CPU_PERIOD_US}`]],
    },
  };
  return CGROUP_CONTROLLERS.flatMap((controller) => {
    const place = layout.controllers[controller];
    if (place === undefined) return [];
    return wanted[controller][place.version].map(([file, value, optional]) => ({
      controller,
      file: join(place.mount, PARENT, name, file),
      value,
      ...(optional === true ? { optional } : {}),
    }));
  });
}

/** Makes the cgroup with its limits; answers its directories, each with a cgroup.procs to enter it by. */
export async function createCgroup(layout: CgroupLayout, name: string, limits: CgroupLimits): Promise<string[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryToCreate(layout, name, limits);
    } catch (cause) {
      await removeCgroup(layout, name);
      // The end of another cgroup, its parent's last child, may take the parent away between two of our steps.
      if (attempt < CREATE_ATTEMPTS && isGone(cause)) continue;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new RingwallError('host-lacks', `a control group could not be made: ${reason}`, {
        hint: 'see which control groups this host has: ringwall doctor',
        cause,
      });
    }
  }
}

async function tryToCreate(layout: CgroupLayout, name: string, limits: CgroupLimits): Promise<string[]> {
  const dirs = cgroupDirs(layout, name);
  await handDownControllers(layout);
  for (const dir of dirs) await mkdir(dir, { recursive: true });
  await writeLimits(compileCgroupLimits(layout, name, limits));
  return dirs;
}

async function writeLimits(limits: readonly CgroupLimitFile[]): Promise<void> {
  for (const limit of limits) {
    await writeFile(limit.file, limit.value, { flag: 'r+' }).catch((cause: unknown) => {
      if (limit.optional !== true) throw cause;
    });
  }
}

/** Of one that is there: it may have less from now on. */
export async function limitMemory(layout: CgroupLayout, name: string, memoryBytes: number): Promise<void> {
  const limits = compileCgroupLimits(layout, name, { memoryBytes, tasks: 0, cpus: 0 });
  await writeLimits(limits.filter(({ controller }) => controller === 'memory'));
}

function isGone(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}

/** In v2 a controller reaches a child only where each ancestor hands it down. */
async function handDownControllers(layout: CgroupLayout): Promise<void> {
  for (const controller of CGROUP_CONTROLLERS) {
    const place = layout.controllers[controller];
    if (place?.version !== 2) continue;
    const parent = join(place.mount, PARENT);
    await mkdir(parent, { recursive: true });
    for (const ancestor of [place.mount, parent]) {
      await writeFile(join(ancestor, 'cgroup.subtree_control'), `+${controller}`);
    }
  }
}

/** Kills what is left in the cgroup and removes it. Idempotent. */
export async function removeCgroup(layout: CgroupLayout, name: string): Promise<void> {
  for (const dir of cgroupDirs(layout, name)) {
    const deadline = performance.now() + REMOVE_TIMEOUT_MS;
    for (;;) {
      const error = await rmdir(dir).then(
        () => undefined,
        (cause: NodeJS.ErrnoException) => cause,
      );
      if (error === undefined || error.code === 'ENOENT') break;
      if (performance.now() > deadline) {
        throw new RingwallError('internal', `${dir} could not be removed: ${error.message}`, { cause: error });
      }
      await killMembers(dir);
      await sleep(20);
    }
    // The parent goes with its last child; EBUSY or ENOTEMPTY means that others are left.
    await rmdir(join(dir, '..')).catch(() => undefined);
  }
}

async function killMembers(dir: string): Promise<void> {
  const members = await readFile(join(dir, 'cgroup.procs'), 'utf8').catch(() => '');
  for (const pid of members.split('\n').filter((line) => /^[1-9]\d*$/.test(line))) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It left in the meantime.
    }
  }
}
