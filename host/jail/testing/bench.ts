// What the real tests of jails share: a place whose directories can be passed through, and a look at what is left.
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DEVICE_DIR } from '../devices.ts';
import { makePassable } from '../rundir.ts';
import { parseMountinfo } from '../proc.ts';
import { processesOf, UidLeases, type Lease } from '../leases.ts';
import { endLease } from '../start.ts';

/** Why a jail cannot be tried here; undefined where it can. */
export function lacksForJails(): string | undefined {
  if (process.getuid?.() !== 0) return 'skipped: needs root';
  const missing = ['/usr/bin/bwrap', '/usr/bin/setpriv', '/usr/bin/prlimit'].filter((path) => !existsSync(path));
  return missing.length === 0 ? undefined : `skipped: needs ${missing.join(' and ')}`;
}

export interface Bench extends AsyncDisposable {
  readonly dir: string;
  /** Names what is made on it: no other bench on this host has it, in another checkout neither. */
  readonly name: string;
  readonly leases: UidLeases;
  /** Everything of the bench that is still there, beside its own directory: mounts, cgroups, leases, processes. */
  readonly left: () => Promise<string[]>;
}

/** A bench has leases of its own, so that tests never end somebody else's machines. */
export async function openBench(what: string): Promise<Bench> {
  const dir = await mkdtemp(`/run/ringwall-test-${what}-`);
  await makePassable(dir);
  const leases = new UidLeases(join(dir, 'leases'));
  const taken: Lease[] = [];
  const acquire = leases.acquire.bind(leases);
  leases.acquire = (wanted) => {
    const lease = acquire(wanted);
    taken.push(lease);
    return lease;
  };
  return {
    dir,
    name: `${what}-${process.pid}`,
    leases,
    left: async () => [
      ...leases.list().map(({ purpose }) => `lease of ${purpose}`),
      ...taken.flatMap(({ uid }) => processesOf(uid)).map(({ pid }) => `process ${pid}`),
      ...parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'))
        .filter(({ point }) => point.startsWith(`${dir}/`))
        .map(({ point }) => `mount ${point}`),
      ...(await cgroupsNamed(new Set(taken.map(({ cgroup }) => cgroup)))).map((path) => `cgroup ${path}`),
      ...(await readdir(DEVICE_DIR).catch(() => []))
        .filter((node) => taken.some(({ uid }) => node.endsWith(String(uid))))
        .map((node) => `device ${node}`),
    ],
    [Symbol.asyncDispose]: async () => {
      for (const lease of leases.list()) await endLease(leases, lease);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** How a program ended that on a busy host had done so before it was seen to have started. Other errors are thrown. */
export function endAtStart(error: unknown): string {
  const end = error instanceof Error ? / did not start: ([^]*)$/.exec(error.message)?.[1] : undefined;
  if (end === undefined) throw error;
  return end;
}

async function cgroupsNamed(wanted: ReadonlySet<string | undefined>): Promise<string[]> {
  const found: string[] = [];
  for (const hierarchy of ['', ...(await readdir('/sys/fs/cgroup').catch(() => []))]) {
    const parent = join('/sys/fs/cgroup', hierarchy, 'ringwall');
    for (const child of await readdir(parent).catch(() => [])) {
      if (wanted.has(child)) found.push(join(parent, child));
    }
  }
  return found;
}
