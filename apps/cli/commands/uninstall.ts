// `ringwall uninstall`: takes away what `install`, the services and (with --purge) the machines have put on this host.
// Machines are never removed without their names having been said, and never while one of them runs.
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import { typesWord } from '../ask.ts';
import { packagesFile } from '../installation.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { stopServices } from '../services/control.ts';
import { goOnAsRoot, isRoot } from '../services/privilege.ts';
import { runInForeground } from '../services/processes.ts';
import { findRemains, removeAll, type Remains } from '../services/remains.ts';
import { programArgv, SERVICE_USERS, SERVICES } from '../services/table.ts';
import { plainText } from '../terminal.ts';
import { parsePackages } from './doctor.ts';

const SYSTEMCTL = '/usr/bin/systemctl';
/** There where systemd runs the host: sd_booted(3). */
const SYSTEMD = '/run/systemd/system';
const CONFIRMATION = 'purge';

export async function run(invocation: Invocation): Promise<void> {
  const { flags, json, out, paths, self } = invocation;
  const purge = flags.has('purge');
  if (!isRoot()) goOnAsRoot(invocation, 'services, units and state are root’s to remove');
  const found = findRemains(paths);
  const doomed = [...found.units, ...found.programs, ...(purge ? found.state : [])];
  const left = leftAfter(invocation, found, purge);
  if (flags.has('dry-run')) {
    if (json) printJson(invocation, { removed: [], wouldRemove: doomed, left });
    else for (const line of describe('Would remove', doomed, left)) out.line(line);
    return;
  }
  if (doomed.length === 0) {
    if (json) printJson(invocation, { removed: [], left });
    else out.line(`Nothing of Ringwall is in ${paths.state} or ${paths.run} that this would remove.`);
    return;
  }
  const names = await namesOf(invocation);
  refuseWhileRunning(found, names, self);
  if (purge) await confirm(invocation, found, names);
  await endServices(invocation, found.units);
  // Nothing can start any more; a machine that was started while somebody read the question is still one that runs.
  refuseWhileRunning(findRemains(paths), names, self);
  endNetworks(invocation);
  removeAll(doomed, paths);
  if (found.units.length > 0 && existsSync(SYSTEMD)) runInForeground([SYSTEMCTL, 'daemon-reload']);
  if (json) printJson(invocation, { removed: doomed, left });
  else for (const line of describe('Removed', doomed, left)) out.line(line);
}

function refuseWhileRunning({ running }: Remains, names: ReadonlyMap<string, string>, self: string): void {
  if (running.length === 0) return;
  const known = running.map((id) => names.get(id) ?? id);
  const count = running.length === 1 ? 'a machine runs' : `${String(running.length)} machines run`;
  throw new RingwallError('conflict', `${count}: ${known.join(', ')}`, {
    hint: `stop first what you can do without: ${self} stop ${known.join(' ')}`,
  });
}

async function confirm(invocation: Invocation, found: Remains, names: ReadonlyMap<string, string>): Promise<void> {
  const { flags, err, json, paths } = invocation;
  if (flags.has('yes')) return;
  if (json || !process.stdin.isTTY) {
    throw new RingwallError(
      'bad-request',
      'what --purge removes cannot be brought back, and nobody can be asked here',
      {
        hint: 'look with --dry-run; then say --yes',
      },
    );
  }
  const machines = found.machines.map((id) => plainText(names.get(id) ?? id));
  err.line(`This removes for good what is in ${paths.state}:`);
  err.line(
    machines.length === 0
      ? '  no machine'
      : `  ${String(machines.length)} machines with their disks: ${machines.join(', ')}`,
  );
  err.line('  the keys of all disks: no copy and no backup of them can be read again');
  err.line('  the vTPM authority and the broker of this host, images and logs');
  if (!(await typesWord(CONFIRMATION))) throw new RingwallError('conflict', 'nothing was removed');
}

async function endServices(invocation: Invocation, units: readonly string[]): Promise<void> {
  if (units.length > 0 && existsSync(SYSTEMD)) {
    runInForeground([SYSTEMCTL, 'disable', '--now', ...units.map((path) => basename(path))]);
  }
  using progress = invocation.progress();
  const services = await stopServices(invocation.paths, (text) => progress.step(text));
  progress.done();
  const foreign = services.filter(({ outcome }) => outcome === 'not ours').map(({ name }) => name);
  if (foreign.length === 0) return;
  throw new RingwallError('conflict', `${foreign.join(', ')} answers, and was not started by this command`, {
    hint: 'end it where it was started (ctrl-C in the terminal of `up`), then try again',
  });
}

/** They stand without any service: the warden's program takes them down. */
function endNetworks({ installation, paths }: Invocation): void {
  if (!existsSync(join(paths.run, 'networks'))) return;
  const { kind, directory } = installation;
  const runtime = { kind, directory, node: process.execPath, id: '' };
  const [warden] = SERVICES.filter(({ name }) => name === 'ringwall-warden');
  if (warden === undefined) return;
  const places = ['--state', paths.state, '--run', paths.run];
  if (runInForeground([...programArgv(warden, runtime), ...places, '--end-networks'], {}) === 0) return;
  throw new RingwallError('conflict', 'what stands of networks could not be taken down: nothing was removed');
}

/** Names by id, as far as the daemon still answers; nothing is started to find out. */
async function namesOf({ api }: Invocation): Promise<ReadonlyMap<string, string>> {
  try {
    const { machines } = await api.call('listMachines');
    return new Map(machines.map(({ id, name }) => [id, name]));
  } catch {
    return new Map();
  }
}

/** What this command never touches, each with how to be rid of it. */
function leftAfter({ installation, paths, self }: Invocation, found: Remains, purge: boolean): string[] {
  const packages = parsePackages(readFileSync(packagesFile(installation), 'utf8')).map(({ name }) => name);
  const machines = found.machines.length === 1 ? '1 machine' : `${String(found.machines.length)} machines`;
  return [
    ...(purge || found.state.length === 0
      ? []
      : [`${paths.state}: ${machines}, keys and images (${self} uninstall --purge)`]),
    `system users: ${SERVICE_USERS.join(', ')} (userdel NAME, once no other Ringwall is on this host)`,
    `Debian packages, which others may need: ${packages.join(' ')}`,
    `this program: ${installation.directory}`,
  ];
}

function describe(title: string, removed: readonly string[], left: readonly string[]): string[] {
  return [
    `${title}:`,
    ...(removed.length === 0 ? ['  nothing'] : removed.map((path) => `  ${path}`)),
    '',
    'It leaves:',
    ...left.map((sentence) => `  ${sentence}`),
  ];
}
