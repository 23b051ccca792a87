// Compiles what a jail shall be to the command that builds it. The order is the point: limits and the leased uid come
// first, so that root and its capabilities are gone for good before any namespace is made or any file is bound.
//
//   nsenter   the network that it shares, where it shares one
//   bash      enters the cgroups, and closes every descriptor that was not meant for the jail
//   prlimit   resource limits, hard ones
//   setpriv   the leased uid and gid, no groups, no capabilities (bounding set too), no-new-privs
//   bwrap     user, mount, pid, net, ipc, uts and cgroup namespaces, a root of its own, the seccomp filter
//   program   as pid 1 of its namespace: when it ends, everything in there ends
//
// One kind of program has rights in the network that it shares (`capabilities`), and the kernel gives those only in the user namespace
// that the network was made in. There bwrap is root's and makes no user namespace, and setpriv stands inside it: the same uid, and of
// all capabilities the few that are named.
import { RingwallError } from '@ringwall/api';
import { LEASE_RANGE } from './leases.ts';

export const JAIL_PROGRAMS = {
  bash: '/usr/bin/bash',
  prlimit: '/usr/bin/prlimit',
  setpriv: '/usr/bin/setpriv',
  bwrap: '/usr/bin/bwrap',
  nsenter: '/usr/bin/nsenter',
} as const;

/**
 * One byte: less than any core file, so that none is written, and the one value at which the kernel does not feed a
 * core to a program either (core(5): a limit of 0 is not looked at where core_pattern is a pipe).
 */
export const CORE_LIMIT_BYTES = 1;

/** Fixed text: directories and descriptors come as arguments, never as part of it. */
const ENTER = `
last=$1; shift
while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs"; shift; done; shift
echo 0 >/proc/self/coredump_filter
for path in /proc/self/fd/*; do
  fd=\${path##*/}
  if [ "$fd" -gt "$last" ]; then exec {fd}>&-; fi
done
exec "$@"
`;

export interface JailFile {
  /** A real path of the host, without symbolic links in what the guest's owner controls. */
  readonly source: string;
  readonly target: string;
}

export interface JailLimits {
  readonly openFiles: number;
  /** The largest file that it may write: its disk, its state, its log. */
  readonly fileBytes: number;
  readonly tasks: number;
}

/** As capabilities(7) has them, in small letters. */
export type NetworkCapability = 'net_admin' | 'net_raw' | 'net_bind_service';

export interface JailSpec {
  readonly uid: number;
  readonly cgroupDirs: readonly string[];
  readonly limits: JailLimits;
  readonly readOnly: readonly JailFile[];
  readonly writable: readonly JailFile[];
  readonly devices: readonly JailFile[];
  /** The file of the network namespace that it is in; where there is none, it has no network. */
  readonly network?: string | undefined;
  /** Its rights in that network. */
  readonly capabilities?: readonly NetworkCapability[];
  /** The child's descriptors: of the seccomp program, of the file for bwrap's status, and the last one of all. */
  readonly seccompFd: number;
  readonly statusFd: number;
  readonly lastFd: number;
  /** The program, as a path inside the jail, and its arguments. */
  readonly command: readonly string[];
}

/** Pure. */
export function compileJail(spec: JailSpec): string[] {
  if (!Number.isInteger(spec.uid) || spec.uid < LEASE_RANGE.first || spec.uid > LEASE_RANGE.last) {
    throw new RingwallError('internal', `uid ${spec.uid} is not one of the leased`);
  }
  if (spec.network !== undefined && !isPlainPath(spec.network)) {
    throw new RingwallError('internal', `${JSON.stringify(spec.network)} names no network`);
  }
  for (const { source, target } of [...spec.readOnly, ...spec.writable, ...spec.devices]) {
    if (!isPlainPath(source) || !isPlainPath(target) || target === '/') {
      throw new RingwallError('internal', `${JSON.stringify(source)} cannot be bound at ${JSON.stringify(target)}`);
    }
  }
  if (spec.command[0] === undefined || !isPlainPath(spec.command[0])) {
    throw new RingwallError('internal', 'the program of a jail is named by its absolute path');
  }
  const uid = String(spec.uid);
  const enter = [JAIL_PROGRAMS.bash, '--noprofile', '--norc', '-p', '-euc', ENTER, 'jail', String(spec.lastFd)];
  const limits = [JAIL_PROGRAMS.prlimit, ...rlimits(spec.limits), '--'];
  const rights = spec.network === undefined ? [] : (spec.capabilities ?? []);
  const kept = rights.map((name) => `,+${name}`).join('');
  const become = [
    ...[JAIL_PROGRAMS.setpriv, '--reuid', uid, '--regid', uid, '--clear-groups', '--no-new-privs'],
    ...[`--inh-caps=-all${kept}`, `--ambient-caps=-all${kept}`, `--bounding-set=-all${kept}`, '--'],
  ];
  const namespaces = ['--unshare-all', '--unshare-user', '--disable-userns', '--hostname', 'jail', '--as-pid-1'];
  const network = spec.network === undefined ? [] : ['--share-net'];
  const rest = ['--clearenv', '--seccomp', String(spec.seccompFd), '--json-status-fd', String(spec.statusFd)];
  const root = [
    ...bind('--ro-bind', spec.readOnly),
    ...bind('--bind', spec.writable),
    ...bind('--dev-bind', spec.devices),
    '--remount-ro',
    '/',
    '--chdir',
    '/',
  ];
  const limited = [
    ...(spec.network === undefined ? [] : [JAIL_PROGRAMS.nsenter, `--net=${spec.network}`, '--']),
    ...[...enter, ...spec.cgroupDirs, '--', ...limits],
  ];
  if (rights.length === 0) {
    const bwrap = [JAIL_PROGRAMS.bwrap, ...namespaces, ...network, '--cap-drop', 'ALL', ...rest, ...root, '--'];
    return [...limited, ...become, ...bwrap, ...spec.command];
  }
  const given = [...BECOMING, ...rights].flatMap((name) => ['--cap-add', `CAP_${name.toUpperCase()}`]);
  const places = folders([...spec.readOnly, ...spec.writable, ...spec.devices]);
  const bwrap = [
    JAIL_PROGRAMS.bwrap,
    ...ROOTS_NAMESPACES,
    '--cap-drop',
    'ALL',
    ...given,
    ...rest,
    ...places,
    ...root,
    '--',
  ];
  return [...limited, ...bwrap, ...become, ...spec.command];
}

const ROOTS_NAMESPACES = [
  ...['--unshare-ipc', '--unshare-pid', '--unshare-uts', '--unshare-cgroup'],
  ...['--hostname', 'jail', '--as-pid-1'],
];
/** What setpriv needs to become another user, and leaves behind. */
const BECOMING = ['setuid', 'setgid', 'setpcap'] as const;

/** Every folder above the files: bwrap, where it is root's, makes them for root alone unless it is told to. */
function folders(files: readonly JailFile[]): string[] {
  const above = files.flatMap(({ target }) => {
    const parts = target.split('/').slice(1, -1);
    return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`);
  });
  return [...new Set(above)].toSorted().flatMap((folder) => ['--perms', '0755', '--dir', folder]);
}

function rlimits(limits: JailLimits): string[] {
  const both = (value: number): string => `${value}:${value}`;
  return [
    `--core=${both(CORE_LIMIT_BYTES)}`,
    `--nofile=${both(limits.openFiles)}`,
    `--fsize=${both(limits.fileBytes)}`,
    `--nproc=${both(limits.tasks)}`,
    `--memlock=${both(0)}`,
    `--msgqueue=${both(0)}`,
    `--rtprio=${both(0)}`,
    `--nice=${both(0)}`,
  ];
}

function bind(option: '--ro-bind' | '--bind' | '--dev-bind', files: readonly JailFile[]): string[] {
  return files.flatMap(({ source, target }) => [option, source, target]);
}

/** Absolute, without `.` and `..`, without what would end an argument. */
function isPlainPath(path: string): boolean {
  return /^(?:\/[^/\0]+)+$/.test(path) && !path.split('/').some((part) => part === '.' || part === '..');
}
