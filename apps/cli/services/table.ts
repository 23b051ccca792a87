// The three services as data, and how each is started: argv and environment are made here, and only here. Pure.
import type { Paths } from './paths.ts';

export type ServiceName = 'ringwall-warden' | 'ringwall-broker' | 'ringwalld';

export interface Service {
  readonly name: ServiceName;
  /** For people, after `the`. */
  readonly title: string;
  readonly bundle: string;
  readonly source: string;
  /** Absent for root. */
  readonly user?: string;
  readonly socket: 'wardenSocket' | 'brokerSocket' | 'apiSocket';
  readonly description: string;
}

/** In the order in which they start; ringwalld asks the other two. */
export const SERVICES: readonly Service[] = [
  {
    name: 'ringwall-warden',
    title: 'warden',
    bundle: 'warden.mjs',
    source: 'apps/warden/main.ts',
    socket: 'wardenSocket',
    description: 'starts machines and TPMs in their jails',
  },
  {
    name: 'ringwall-broker',
    title: 'broker',
    bundle: 'broker.mjs',
    source: 'apps/broker/main.ts',
    user: 'ringwall-broker',
    socket: 'brokerSocket',
    description: 'judges evidence and releases keys',
  },
  {
    name: 'ringwalld',
    title: 'daemon',
    bundle: 'ringwalld.mjs',
    source: 'apps/daemon/main.ts',
    user: 'ringwall',
    socket: 'apiSocket',
    description: 'serves the API and keeps machines as they are wanted',
  },
];

/** The system users that setup makes. */
export const SERVICE_USERS: readonly string[] = ['ringwall', 'ringwall-broker', 'ringwall-builder'];

/** What the services run from: reachable by their users. */
export interface Runtime {
  readonly kind: 'bundles' | 'sources';
  readonly node: string;
  readonly directory: string;
  /** As in the build stamp. */
  readonly id: string;
}

const SETPRIV = '/usr/bin/setpriv';

/** No core dump: there are keys in it. Not 0, which the kernel does not look at where core_pattern is a pipe (core(5)). */
export const CORE_LIMIT_BYTES = 1;
const WITHOUT_CORE = ['/usr/bin/prlimit', `--core=${CORE_LIMIT_BYTES}`, '--'] as const;

/**
 * The services live for months and are idle for most of it, but by default V8 and malloc keep what a burst of requests
 * made them grow to: 400 MB for the three after a thousand machines were made, and 290 MB with these.
 */
export const NODE_FLAGS = [
  '--enable-source-maps',
  // MiB of young generation: 16 by default, three times over.
  '--max-semi-space-size=2',
  // MiB before the first full collection, and how far the heap may grow from one to the next, in percent.
  '--initial-old-space-size=16',
  '--heap-growing-percent=20',
  '--optimize-for-size',
  // What is free goes back to the system so long after the last burst, not half a minute.
  '--gc-memory-reducer-start-delay-ms=8000',
] as const;

/**
 * mallopt(3): one arena, and buffers of over 128 KiB (kernels, firmware) in mappings of their own that free() gives back. Of those, what
 * is large enough has huge pages (glibc 2.35 on): a copy of a guest's memory takes a third less of processor time without a fault for
 * every 4 KiB.
 */
export const MALLOC_SETTINGS = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
} as const;

/** The program without any change of user. */
export function programArgv(service: Service, runtime: Runtime): string[] {
  return runtime.kind === 'bundles'
    ? [runtime.node, ...NODE_FLAGS, `${runtime.directory}/${service.bundle}`]
    : [runtime.node, '--conditions=ringwall-source', `${runtime.directory}/${service.source}`];
}

/** Argv for root: it becomes the service's user for good, with no capability left to win back. */
export function serviceArgv(service: Service, runtime: Runtime): string[] {
  const program = programArgv(service, runtime);
  if (service.user === undefined) return [...WITHOUT_CORE, ...program];
  return [
    ...WITHOUT_CORE,
    SETPRIV,
    `--reuid=${service.user}`,
    `--regid=${service.user}`,
    '--init-groups',
    '--inh-caps=-all',
    '--ambient-caps=-all',
    '--bounding-set=-all',
    '--no-new-privs',
    '--',
    ...program,
  ];
}

/** Nothing of the caller's environment gets through. */
export function serviceEnvironment(paths: Paths): Record<string, string> {
  return {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
    ...MALLOC_SETTINGS,
    RINGWALL_STATE: paths.state,
    RINGWALL_RUN: paths.run,
  };
}

export interface Directory {
  readonly path: string;
  readonly mode: number;
  readonly user: string;
  readonly group: string;
}

/**
 * Directories that must be there before an unprivileged service starts, parents first. The run directory is sticky and
 * writable for the group, so that ringwalld can make its socket there and touch nothing of others; what root makes
 * below it later is made now, so that nobody can take the name first.
 */
export function serviceDirectories(paths: Paths): Directory[] {
  const { state, run } = paths;
  const root = { user: 'root', group: 'root' };
  return [
    { path: state, mode: 0o755, ...root },
    { path: `${state}/warden`, mode: 0o700, ...root },
    { path: `${state}/images`, mode: 0o755, ...root },
    { path: `${state}/machines`, mode: 0o711, ...root },
    { path: `${state}/daemon`, mode: 0o700, user: 'ringwall', group: 'ringwall' },
    { path: `${state}/broker`, mode: 0o700, user: 'ringwall-broker', group: 'ringwall-broker' },
    { path: paths.logs, mode: 0o750, ...root },
    { path: paths.runtime, mode: 0o755, ...root },
    { path: run, mode: 0o1775, user: 'root', group: 'ringwall' },
    { path: `${run}/warden`, mode: 0o750, user: 'root', group: 'ringwall' },
    { path: `${run}/broker`, mode: 0o750, user: 'ringwall-broker', group: 'ringwall' },
    { path: `${run}/machines`, mode: 0o711, ...root },
    { path: paths.records, mode: 0o755, ...root },
  ];
}
