// Reads back, from /proc and the cgroup files, which protections of a running VMM or TPM hold: never from what was asked
// for. Each check looks at what the kernel enforces, on every thread where it is kept per thread.
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Protection } from '@ringwall/api';
import { isAlive, type ProcessRef } from '../exec/index.ts';
import { parseCgroupLayout, type CgroupController } from './cgroup.ts';
import { CORE_LIMIT_BYTES } from './compile.ts';
import { LEASE_RANGE } from './leases.ts';
import {
  parseInterfaces,
  parseLimits,
  parseMountinfo,
  parseProcCgroup,
  parseSmaps,
  parseStatus,
  type Mount,
  type ProcStatus,
} from './proc.ts';

export interface ProtectedProcess {
  readonly part: 'vmm' | 'tpm' | 'witness';
  readonly process: ProcessRef;
  /** Files of the host that it may hold open beside what lies in its own directories: its disks. */
  readonly files: readonly string[];
  /** Host paths of the directories that are its own to write to. */
  readonly ownDirs: readonly string[];
  /** Its end of the guest's network cable, by the name that it has there: the only way out of its empty namespace. */
  readonly tap?: string;
  /** Where the VMM finds the file of its guest's memory, in its jail; of a template's, the name of its mappings. */
  readonly memory?: string;
  /** Where it finds its own descriptors, if anywhere. */
  readonly ownDescriptors?: string;
}

/** QEMU and swtpm bring a filter; Node has none. */
const FILTERS: Readonly<Record<ProtectedProcess['part'], number>> = { vmm: 2, tpm: 2, witness: 1 };
const PART_TITLES: Readonly<Record<ProtectedProcess['part'], string>> = { vmm: 'VMM', tpm: 'TPM', witness: 'witness' };

interface Seen {
  readonly holds: boolean;
  readonly seen: string;
}

interface Check {
  readonly id: string;
  readonly title: string;
  readonly stops: string;
  readonly hint?: string;
  readonly only?: 'vmm' | 'tpm';
  readonly read: (target: ProtectedProcess) => Promise<Seen>;
}

const TUN = '/dev/net/tun';
const NAMESPACES = ['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'] as const;
/** The most that smaps may show of a process; a line each for some hundred mappings. */
const MIB = 1024 * 1024;
const CGROUP_HINT = 'the host has no cgroup controller for it: see ringwall doctor';

const CHECKS: readonly Check[] = [
  { id: 'uid', title: 'a user id of its own', stops: 'A2', read: readUid },
  { id: 'capabilities', title: 'no capabilities, none to gain', stops: 'A2', read: readCapabilities },
  { id: 'no-new-privs', title: 'no new privileges by exec', stops: 'A2', read: readNoNewPrivs },
  { id: 'seccomp', title: 'system calls filtered', stops: 'A2', read: readSeccomp },
  { id: 'namespaces', title: 'namespaces of its own', stops: 'A2', read: readNamespaces },
  { id: 'network', title: 'no network', stops: 'A2', read: readNetwork },
  { id: 'root', title: 'a root directory of its own', stops: 'A2', read: readRoot },
  { id: 'mounts', title: 'only its own files, read-only but its own directories', stops: 'A2', read: readMounts },
  { id: 'descriptors', title: 'only its own descriptors', stops: 'A2', read: readDescriptors },
  { id: 'environment', title: 'an empty environment', stops: 'A2', read: readEnvironment },
  { id: 'limits', title: 'limits on files, tasks and locked memory', stops: 'A1, A2', read: readLimits },
  { id: 'no-core', title: 'no core dumps', stops: 'A4', read: readCore },
  { id: 'memory-limit', title: 'a limit on memory', stops: 'A1, A2', hint: CGROUP_HINT, read: readMemoryLimit },
  { id: 'task-limit', title: 'a limit on tasks', stops: 'A1, A2', hint: CGROUP_HINT, read: readTaskLimit },
  { id: 'cpu-limit', title: 'a limit on processor time', stops: 'A1, A2', hint: CGROUP_HINT, read: readCpuLimit },
  { id: 'no-merge', title: 'memory not merged with that of others', stops: 'A1', only: 'vmm', read: readMerge },
  { id: 'no-guest-dump', title: 'guest memory left out of dumps', stops: 'A4', only: 'vmm', read: readGuestDump },
];

/** The ids of all protections of a part, e.g. `vmm.seccomp`, in the order of `readProtections`. */
export function protectionIds(part: ProtectedProcess['part']): string[] {
  return checksOf(part).map((check) => `${part}.${check.id}`);
}

export async function readProtections(target: ProtectedProcess): Promise<Protection[]> {
  const protections: Protection[] = [];
  for (const { id, title, stops, hint, read } of checksOf(target.part)) {
    let result: Seen | { readonly unknown: string };
    try {
      result = isAlive(target.process) ? await read(target) : { unknown: 'the process is gone' };
    } catch (error) {
      result = { unknown: `not readable: ${error instanceof Error ? error.message : String(error)}` };
    }
    const state = 'unknown' in result ? 'unknown' : result.holds ? 'holds' : 'missing';
    protections.push({
      id: `${target.part}.${id}`,
      title: `${PART_TITLES[target.part]}: ${title}`,
      state,
      seen: 'unknown' in result ? result.unknown : result.seen,
      stops,
      ...(hint === undefined || state === 'holds' ? {} : { hint }),
    });
  }
  return protections;
}

function checksOf(part: ProtectedProcess['part']): Check[] {
  return CHECKS.filter((check) => check.only === undefined || check.only === part);
}

async function readUid(target: ProtectedProcess): Promise<Seen> {
  const threads = await readThreads(target);
  const ids = new Set(threads.flatMap(({ uids, gids, groups }) => [...uids, ...gids, ...groups]));
  const [id = 0] = ids;
  const others = await othersOf(id, target.process.pid);
  return {
    holds: ids.size === 1 && id >= LEASE_RANGE.first && id <= LEASE_RANGE.last && others.length === 0,
    seen: `uid and gid ${[...ids].join(', ')}${others.length === 0 ? '' : `, shared with ${others.join(', ')}`}`,
  };
}

async function readCapabilities(target: ProtectedProcess): Promise<Seen> {
  const sets = (await readThreads(target)).flatMap(({ capabilities }) => Object.entries(capabilities));
  const held = sets.filter(([, value]) => !/^0+$/.test(value)).map(([name, value]) => `Cap${name} ${value}`);
  return {
    holds: sets.length > 0 && held.length === 0,
    seen: held.length === 0 ? 'effective, permitted, inheritable, ambient and bounding sets empty' : held.join(', '),
  };
}

async function readNoNewPrivs(target: ProtectedProcess): Promise<Seen> {
  const threads = await readThreads(target);
  return {
    holds: threads.every((thread) => thread.noNewPrivs === 1),
    seen: perThread('NoNewPrivs', threads, 'noNewPrivs'),
  };
}

async function readSeccomp(target: ProtectedProcess): Promise<Seen> {
  const threads = await readThreads(target);
  return {
    // The jail's filter, and on top of it the program's own, where it brings one.
    holds: threads.every((thread) => thread.seccomp === 2 && thread.seccompFilters >= FILTERS[target.part]),
    seen: `${perThread('Seccomp', threads, 'seccomp')}, ${perThread('filters', threads, 'seccompFilters')}`,
  };
}

async function readNamespaces(target: ProtectedProcess): Promise<Seen> {
  const shared: string[] = [];
  for (const name of NAMESPACES) {
    const [own, ours] = await Promise.all([
      readlink(procPath(target, `ns/${name}`)),
      readlink(`/proc/self/ns/${name}`),
    ]);
    if (own === ours) shared.push(name);
  }
  return {
    holds: shared.length === 0,
    seen: shared.length === 0 ? `own: ${NAMESPACES.join(', ')}` : `shared with the host: ${shared.join(', ')}`,
  };
}

async function readNetwork(target: ProtectedProcess): Promise<Seen> {
  const interfaces = parseInterfaces(await readText(target, 'net/dev'));
  return { holds: interfaces.every((name) => name === 'lo'), seen: `interfaces: ${interfaces.join(', ') || 'none'}` };
}

async function readRoot(target: ProtectedProcess): Promise<Seen> {
  const [own, ours] = await Promise.all([stat(procPath(target, 'root/')), stat('/')]);
  const mount = (await readMountinfo(target)).find(({ point }) => point === '/');
  const pivoted = own.dev !== ours.dev || own.ino !== ours.ino;
  const readOnly = mount?.options.includes('ro') === true;
  return {
    holds: pivoted && readOnly && mount.type === 'tmpfs',
    seen: `${pivoted ? 'not the host’s' : 'the host’s'}, ${mount?.type ?? 'no mount'}, ${readOnly ? 'read-only' : 'writable'}`,
  };
}

async function readMounts(target: ProtectedProcess): Promise<Seen> {
  const mounts = (await readMountinfo(target)).filter(({ point }) => point !== '/');
  const wrong = mounts.filter((mount) => !isOwnMount(mount, target));
  const writable = mounts.filter(({ options }) => options.includes('rw')).map(({ point }) => point);
  return {
    holds: wrong.length === 0,
    seen:
      wrong.length === 0
        ? `${mounts.length - writable.length} files read-only, writable: ${writable.join(', ')}`
        : `not its own: ${wrong.map(({ point, type }) => `${point} (${type})`).join(', ')}`,
  };
}

/** Kernel file systems show the host; a whole file system is more than files of its own. */
function isOwnMount({ root, point, options, type }: Mount, target: ProtectedProcess): boolean {
  const { memory, ownDescriptors, process } = target;
  if (point === ownDescriptors) {
    const isItsOwn = type === 'proc' && root === `/${String(process.pid)}/fd`;
    return isItsOwn && ['ro', 'nosuid', 'nodev'].every((flag) => options.includes(flag));
  }
  if (['proc', 'sysfs', 'cgroup', 'cgroup2', 'debugfs', 'tracefs', 'securityfs', 'bpf'].includes(type)) return false;
  if (point === '/run')
    return type === 'tmpfs' && ['nosuid', 'nodev', 'noexec'].every((flag) => options.includes(flag));
  if (point.startsWith('/dev/')) return ['/dev/null', '/dev/kvm'].includes(point) && options.includes('nosuid');
  if (root === '/' || !options.includes('nosuid') || !options.includes('nodev')) return false;
  if (point === memory) return type === 'tmpfs' && options.includes('noexec');
  return options.includes('ro') || point === '/state';
}

async function readDescriptors(target: ProtectedProcess): Promise<Seen> {
  const names = await readdir(procPath(target, 'fd'));
  const targets = await Promise.all(names.map((name) => readTarget(target, name)));
  const paths = targets.filter((path) => path.startsWith('/') && !path.startsWith('/memfd:'));
  const own = (path: string): boolean =>
    ['/dev/null', '/dev/kvm'].includes(path) ||
    path === `${TUN} ${target.tap}` ||
    target.files.includes(path) ||
    path === target.memory ||
    ['/run', '/state', '/boot', ...target.ownDirs].some((dir) => path.startsWith(`${dir}/`));
  const foreign = paths.filter((path) => !own(path));
  const cable = target.tap === undefined ? '' : `, its cable ${target.tap} among them`;
  return {
    holds: foreign.length === 0,
    seen:
      foreign.length === 0
        ? `${names.length} open, ${paths.length} of them files, all its own${cable}`
        : foreign.join(', '),
  };
}

/** What a descriptor is of; of a tap its name, too, since all of them are opened by the same path. */
async function readTarget(target: ProtectedProcess, fd: string): Promise<string> {
  const path = await readlink(procPath(target, `fd/${fd}`)).catch(() => '');
  if (path !== TUN) return path;
  return `${TUN} ${/^iff:\s*(\S+)$/m.exec(await readText(target, `fdinfo/${fd}`))?.[1] ?? 'unknown'}`;
}

async function readEnvironment(target: ProtectedProcess): Promise<Seen> {
  const names = (await readText(target, 'environ'))
    .split('\0')
    .filter(Boolean)
    .map((entry) => entry.split('=')[0] ?? '');
  return {
    // bwrap sets PWD to the directory that it starts the program in, which is /.
    holds: names.every((name) => name === 'PWD'),
    seen: names.length === 0 ? 'empty' : `only ${names.join(', ')}`,
  };
}

async function readLimits(target: ProtectedProcess): Promise<Seen> {
  const limits = parseLimits(await readText(target, 'limits'));
  const names = {
    'Max open files': 'open files',
    'Max processes': 'tasks',
    'Max file size': 'bytes a file',
    'Max locked memory': 'bytes locked',
  };
  const values = Object.entries(names).map(([name, unit]) => ({ unit, hard: limits.get(name)?.hard ?? Number.NaN }));
  return {
    holds: values.every(({ hard }) => Number.isFinite(hard)),
    seen: values.map(({ unit, hard }) => `${hard} ${unit}`).join(', '),
  };
}

async function readCore(target: ProtectedProcess): Promise<Seen> {
  const core = parseLimits(await readText(target, 'limits')).get('Max core file size');
  const filter = (await readText(target, 'coredump_filter')).trim();
  return {
    holds: core !== undefined && core.hard <= CORE_LIMIT_BYTES && /^0+$/.test(filter),
    seen: `core limit ${core?.hard ?? 'unknown'} bytes, kinds of memory in a dump: ${/^0+$/.test(filter) ? 'none' : filter}`,
  };
}

async function readMemoryLimit(target: ProtectedProcess): Promise<Seen> {
  const bytes = Number(await readCgroupFile(target, 'memory', { 1: 'memory.limit_in_bytes', 2: 'memory.max' }));
  // v1 writes "no limit" as the largest multiple of a page in 63 bits.
  const limited = Number.isFinite(bytes) && bytes < 2 ** 62;
  return { holds: limited, seen: limited ? `${Math.round(bytes / MIB)} MiB` : 'none' };
}

async function readTaskLimit(target: ProtectedProcess): Promise<Seen> {
  const text = await readCgroupFile(target, 'pids', { 1: 'pids.max', 2: 'pids.max' });
  return { holds: /^\d+$/.test(text), seen: text === 'max' ? 'none' : text };
}

async function readCpuLimit(target: ProtectedProcess): Promise<Seen> {
  const quota = await readCgroupFile(target, 'cpu', { 1: 'cpu.cfs_quota_us', 2: 'cpu.max' });
  const [used = '', of] = quota.split(' ');
  const period = Number(of ?? (await readCgroupFile(target, 'cpu', { 1: 'cpu.cfs_period_us', 2: 'cpu.max' })));
  const cpus = Number(used) / period;
  return { holds: cpus > 0, seen: cpus > 0 ? `${cpus} processors` : 'none' };
}

async function readMerge(target: ProtectedProcess): Promise<Seen> {
  const memory = await readGuestMemory(target);
  const merged = memory.filter(({ flags }) => flags.includes('mg'));
  return {
    holds: memory.length > 0 && merged.length === 0,
    seen: `mappings of the guest's memory: ${memory.length}, ${merged.length} open to merging`,
  };
}

async function readGuestDump(target: ProtectedProcess): Promise<Seen> {
  const memory = await readGuestMemory(target);
  const dumped = memory.filter(({ flags }) => !flags.includes('dd'));
  return {
    holds: memory.length > 0 && dumped.length === 0,
    seen: `mappings of the guest's memory: ${memory.length}, ${dumped.length} would be in a dump`,
  };
}

/** The mappings that are the guest's RAM. */
async function readGuestMemory(target: ProtectedProcess): Promise<ReturnType<typeof parseSmaps>> {
  return parseSmaps(await readText(target, 'smaps')).filter(({ file }) => file === target.memory);
}

async function readThreads(target: ProtectedProcess): Promise<ProcStatus[]> {
  const ids = await readdir(procPath(target, 'task'));
  const texts = await Promise.all(
    // A thread may end while we look.
    ids.map((id) => readFile(procPath(target, `task/${id}/status`), 'utf8').catch(() => undefined)),
  );
  return texts.filter((text) => text !== undefined).map(parseStatus);
}

/** Processes of the same uid, other than this one and the bwrap that waits for it. */
async function othersOf(uid: number, pid: number): Promise<number[]> {
  const parent = Number(/^PPid:\s*(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
  const others: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === pid || Number(name) === parent) continue;
    const text = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '');
    if (parseStatus(text).uids.includes(uid)) others.push(Number(name));
  }
  return others;
}

async function readMountinfo(target: ProtectedProcess): Promise<Mount[]> {
  return parseMountinfo(await readText(target, 'mountinfo'));
}

async function readCgroupFile(
  target: ProtectedProcess,
  controller: CgroupController,
  files: Readonly<Record<1 | 2, string>>,
): Promise<string> {
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8');
  const paths = parseProcCgroup(await readText(target, 'cgroup'));
  const unifiedMount = parseMountinfo(mountinfo).find(({ type }) => type === 'cgroup2')?.point;
  const unified =
    unifiedMount === undefined ? '' : await readFile(join(unifiedMount, 'cgroup.controllers'), 'utf8').catch(() => '');
  const place = parseCgroupLayout(mountinfo, unified).controllers[controller];
  if (place === undefined) throw new Error(`no ${controller} controller`);
  const path = paths.get(place.version === 1 ? controller : '') ?? '/';
  return (await readFile(join(place.mount, path, files[place.version]), 'utf8')).trim();
}

function perThread(
  label: string,
  threads: readonly ProcStatus[],
  key: 'noNewPrivs' | 'seccomp' | 'seccompFilters',
): string {
  const values = [...new Set(threads.map((thread) => thread[key]))].toSorted((a, b) => a - b);
  return `${label}: ${values.join(' or ')}${threads.length > 1 ? ` on ${threads.length} threads` : ''}`;
}

function procPath(target: ProtectedProcess, name: string): string {
  return `/proc/${target.process.pid}/${name}`;
}

function readText(target: ProtectedProcess, name: string): Promise<string> {
  return readFile(procPath(target, name), 'utf8');
}
