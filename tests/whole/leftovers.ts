// What an instance has left behind: everything of a machine that should not be there, wherever it can be seen.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { machineListSchema, type Machine } from '@ringwall/api';
import { connectBroker } from '@ringwall/control/machines';
import { UidLeases } from '@ringwall/host/jail';
import type { Instance } from '@ringwall/testkit';

/** A machine in one of these has a VMM, a TPM and all that they need. */
const HAS_PROCESSES: ReadonlySet<Machine['status']['phase']> = new Set([
  'starting',
  'attesting',
  'running',
  'refused',
  'stopping',
]);
/** Of a machine that is being made: files beside the ones that they will replace, and marks. */
const UNFINISHED = /\.new$|\.unfinished-|^creating$|^removing$/;

/** Nothing, where all that is there belongs to machines of the list, and what runs to those that run. */
export async function leftovers(ringwall: Instance): Promise<string[]> {
  const { machines } = machineListSchema.parse(await ringwall.api('GET', '/v1/machines'));
  const known = machines.map(({ id }) => id);
  const running = machines.filter(({ status }) => HAS_PROCESSES.has(status.phase)).map(({ id }) => id);
  const found = [...stateOf(ringwall, known), ...runtimeOf(ringwall, running)];
  const broker = connectBroker(join(ringwall.runDir, 'broker', 'broker.sock'));
  const keys = await broker.call({ op: 'status' }).catch(() => undefined);
  if (keys !== undefined && keys.machines !== known.length) {
    found.push(`keys of ${String(keys.machines)} machines, and there are ${String(known.length)}`);
  }
  return found;
}

/** Files that outlive a boot. */
function stateOf({ stateDir }: Instance, known: readonly string[]): string[] {
  const records = join(stateDir, 'warden', 'machines');
  const data = join(stateDir, 'machines');
  const strangers = [records, data].flatMap((dir) =>
    names(dir)
      .filter((name) => !known.includes(name))
      .map((name) => `file ${join(dir, name)}`),
  );
  const unfinished = [records, data, join(stateDir, 'broker'), join(stateDir, 'runtime')].flatMap((dir) =>
    names(dir, { recursive: true })
      .filter((name) => UNFINISHED.test(name.split('/').at(-1) ?? ''))
      .map((name) => `unfinished ${join(dir, name)}`),
  );
  return [...strangers, ...unfinished];
}

/** What lives as long as a boot: run directories, mounts, leased uids, control groups, processes. */
function runtimeOf({ runDir }: Instance, running: readonly string[]): string[] {
  const machinesDir = join(runDir, 'machines');
  // As the warden labels it: several instances share one host.
  const instance = createHash('sha256').update(runDir).digest('hex').slice(0, 8);
  const belongs = (text: string): boolean => running.some((id) => text.includes(id));
  return [
    ...names(machinesDir).map((name) => `run directory ${name}`),
    ...names(join(runDir, 'private')).map((name) => `socket pair ${name}`),
    ...read('/proc/self/mountinfo')
      .split('\n')
      .filter((line) => line.includes(` ${runDir}/`))
      .map((line) => `mount ${line}`),
    ...new UidLeases()
      .list()
      .filter((lease) => lease.runDir?.startsWith(`${runDir}/`) === true)
      .map((lease) => `lease ${JSON.stringify(lease)}`),
    ...cgroups()
      .filter((path) => path.includes(`-${instance}`))
      .map((path) => `control group ${path}`),
    ...names('/proc')
      .filter((pid) => /^\d+$/.test(pid))
      .map((pid) => `process ${pid} ${read(`/proc/${pid}/cgroup`)} ${read(`/proc/${pid}/cmdline`)}`)
      .filter((told) => told.includes(`-${instance}`) || told.includes(`${machinesDir}/`)),
  ].filter((told) => !belongs(told));
}

function cgroups(): string[] {
  return ['', ...names('/sys/fs/cgroup')].flatMap((hierarchy) => {
    const parent = join('/sys/fs/cgroup', hierarchy, 'ringwall');
    return names(parent).map((name) => join(parent, name));
  });
}

function names(dir: string, options: { readonly recursive?: boolean } = {}): string[] {
  try {
    return readdirSync(dir, { encoding: 'utf8', recursive: options.recursive === true });
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}
