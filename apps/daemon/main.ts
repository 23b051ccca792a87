// ringwalld: wires the store, the worker, the two clients and the API together, and ends cleanly.
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { Disks } from '@ringwall/control/disks';
import {
  Approvals,
  Backups,
  connectBroker,
  connectWarden,
  HostReports,
  Machines,
  References,
  Snapshots,
  Templates,
  Transfers,
  Worker,
} from '@ringwall/control/machines';
import { Metrics } from '@ringwall/control/metrics';
import { Counters, Mirrors, type OwnedRange, Packets, Peers } from '@ringwall/control/networks';
import { Store } from '@ringwall/control/store';
import { readHostRanges } from '@ringwall/host/network';
import { readProcessInfo, realHost } from '@ringwall/host/sys';
import { makeApi } from './api.ts';
import { readBuildOf } from './build-of.ts';
import manifest from './package.json' with { type: 'json' };
import { listenOn } from './server.ts';

/** Files of the store are the daemon's own; the socket has a mode of its own. */
const UMASK = 0o077;

/** Set by tests that have no other user: the daemon needs no privilege, and should not have any. */
const ROOT_ALLOWED = 'RINGWALL_DAEMON_AS_ROOT';

try {
  await main();
} catch (error) {
  const { message, hint } = error instanceof RingwallError ? error : { message: String(error), hint: undefined };
  note(`${message}${hint === undefined ? '' : `: ${hint}`}`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  if (process.getuid?.() === 0 && process.env[ROOT_ALLOWED] !== '1') {
    throw new RingwallError('unauthorized', 'ringwalld does not run as root', {
      hint: 'start it by ringwall up, or as the user ringwall',
    });
  }
  process.umask(UMASK);
  const state = directoryOf('RINGWALL_STATE', '/var/lib/ringwall');
  const run = directoryOf('RINGWALL_RUN', '/run/ringwall');
  const ended = endOfService();

  const store = await Store.open(join(state, 'daemon/ringwall.db'));
  const warden = connectWarden(join(run, 'warden/warden.sock'));
  const broker = connectBroker(join(run, 'broker/broker.sock'));
  const worker = new Worker({ store, warden, broker, note, hostRanges });
  const proc = realHost(() => Promise.reject(new Error('ringwalld spawns nothing')));
  const host = new HostReports({
    warden,
    broker,
    readProcess: async (pid) => withBuild(await readProcessInfo(proc, pid), await readBuildOf(pid)),
    diskTrouble: () => store.trouble,
  });
  const hostBootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  try {
    const machines = new Machines(worker, host, hostBootId);
    const { version } = manifest;
    const build = await readBuildOf(process.pid);
    const references = new References({ broker, warden, machines, store });
    const { operations, networks } = worker;
    const disks = new Disks({ store, warden, broker, operations, note });
    const peers = new Peers({ store, warden });
    const snapshots = new Snapshots({ store, warden, broker });
    const transfers = new Transfers({ store, warden, broker });
    const backups = new Backups({ machines, snapshots, store, note });
    const counters = new Counters({ store, warden });
    const mirrors = new Mirrors({ store, warden });
    using metrics = new Metrics({ store, networks, counters, host, operations, version });
    const app = makeApi({
      ...{
        machines,
        disks,
        networks,
        peers,
        counters,
        mirrors,
        snapshots,
        templates: new Templates({ store, warden }),
        transfers,
        approvals: new Approvals({ store, broker }),
        backups,
        references,
        operations,
        host,
        store,
        metrics,
      },
      ...{ version, build, note },
    });
    const packets = new Packets({ store, warden, note });
    await using server = await listenOn(join(run, 'api.sock'), app, { machines, disks, packets, transfers, note });
    await store.appendEvent({ kind: 'daemon.started', message: `ringwalld ${version} listens` });
    note(`ringwalld ${version} listens on ${server.path}`);
    backups.open();
    try {
      await ended;
    } finally {
      await backups.close();
    }
  } finally {
    await worker.close();
    await store.close();
  }
  note('ringwalld has ended; machines go on');
}

function withBuild<Info extends object>(info: Info | undefined, build: string | undefined): Info | undefined {
  return info === undefined || build === undefined ? info : { ...info, build };
}

/** Where a tenant network cannot lie, with who is there already. */
async function hostRanges(): Promise<OwnedRange[]> {
  return (await readHostRanges()).map(({ range, by }) => ({ range, owner: `reached by this host through ${by}` }));
}

function directoryOf(variable: string, otherwise: string): string {
  const path = process.env[variable] ?? otherwise;
  if (isAbsolute(path)) return path;
  throw new RingwallError('bad-request', `${variable} is ${JSON.stringify(path)}, which is no absolute path`);
}

function endOfService(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}

function note(line: string): void {
  process.stderr.write(`${new Date().toISOString()} ${line.replaceAll('\n', '\n  ')}\n`);
}
