// What the real tests of jails share: a place whose directories can be passed through, and a look at what is left.
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makePassable } from '../rundir.ts';
import { parseMountinfo } from '../proc.ts';
import { processesOf, UidLeases } from '../leases.ts';
import { endLease } from '../start.ts';

/** Why a jail cannot be tried here; undefined where it can. */
export function lacksForJails(): string | undefined {
  if (process.getuid?.() !== 0) return 'skipped: needs root';
  const missing = ['/usr/bin/bwrap', '/usr/bin/setpriv', '/usr/bin/prlimit'].filter((path) => !existsSync(path));
  return missing.length === 0 ? undefined : `skipped: needs ${missing.join(' and ')}`;
}

export interface Bench extends AsyncDisposable {
  readonly dir: string;
  readonly leases: UidLeases;
  /** Everything of the bench that is still there, beside its own directory: mounts, cgroups, leases, processes. */
  readonly left: () => Promise<string[]>;
}

/** A bench has leases of its own, so that tests never end somebody else's machines. */
export async function openBench(name: string): Promise<Bench> {
  const dir = await mkdtemp(`/run/ringwall-test-${name}-`);
  await makePassable(dir);
  const leases = new UidLeases(join(dir, 'leases'));
  const uids = new Set<number>();
  const acquire = leases.acquire.bind(leases);
  leases.acquire = (lease) => {
    const taken = acquire(lease);
    uids.add(taken.uid);
    return taken;
  };
  return {
    dir,
    leases,
    left: async () => [
      ...leases.list().map(({ purpose }) => `lease of ${purpose}`),
      ...[...uids].flatMap(processesOf).map(({ pid }) => `process ${pid}`),
      ...parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'))
        .filter(({ point }) => point.startsWith(`${dir}/`))
        .map(({ point }) => `mount ${point}`),
      ...(await cgroupsNamed(name)).map((path) => `cgroup ${path}`),
      ...(await readdir('/dev/ringwall').catch(() => [])).map((node) => `device ${node}`),
    ],
    [Symbol.asyncDispose]: async () => {
      for (const lease of leases.list()) await endLease(leases, lease);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function cgroupsNamed(name: string): Promise<string[]> {
  const found: string[] = [];
  for (const hierarchy of ['', ...(await readdir('/sys/fs/cgroup').catch(() => []))]) {
    const parent = join('/sys/fs/cgroup', hierarchy, 'ringwall');
    for (const child of await readdir(parent).catch(() => [])) {
      if (child.startsWith(name)) found.push(join(parent, child));
    }
  }
  return found;
}
