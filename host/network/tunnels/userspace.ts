// WireGuard without the kernel's module: one wireguard-go for each tunnel, in a jail. Its interface is made here, for its uid, so that
// it needs no capability to attach to it; its UDP socket is on the underlay, where it starts and stays, while its interface moves into
// the network's namespace.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError } from '@ringwall/api/errors';
import { run, runChecked } from '../../exec/index.ts';
import { endLease, makePassable, readClosure, startJail, type UidLeases } from '../../jail/index.ts';
import { removeInterface, type Places } from './interface.ts';
import type { Tunnel, TunnelState } from './tunnel.ts';
import { askUapi, parseState, renderChange } from './uapi.ts';

const WIREGUARD_GO = '/usr/bin/wireguard-go';
const IP = '/usr/sbin/ip';
const START_TIMEOUT_MS = 45_000;
const MIB = 1024 * 1024;
/** It keeps buffers for packets on their way: 4,096 of 64 KiB at most. */
const MEMORY_BYTES: number = 512 * MIB;
const CPUS = 4;
/** Go starts threads as it needs them. */
const TASKS = 64;
const OPEN_FILES = 64;
/** Its log, and no more. */
const RUN_DIR_BYTES = MIB;
/** Where it makes its socket: a name in wireguard-go that nobody can change. */
const SOCKET_DIR = '/var/run/wireguard';

export interface UserspaceOptions {
  /** Of this network alone: jails and sockets of its tunnels. */
  readonly dir: string;
  /** Names control groups and leases: no other network of this host has it. */
  readonly label: string;
  readonly leases: UidLeases;
}

export class UserspaceWireGuard {
  readonly kind = 'wireguard-go';
  readonly #places: Places;
  readonly #options: UserspaceOptions;

  constructor(places: Places, options: UserspaceOptions) {
    this.#places = places;
    this.#options = options;
  }

  /** Makes the interface anew, in the network's namespace. */
  async open(name: string, mtuBytes: number): Promise<void> {
    const { dir, leases, label } = this.#options;
    await this.close(name);
    const socketDir = this.#socketDir(name);
    await makePassable(dir);
    await mkdir(socketDir, { recursive: true, mode: 0o700 });
    await startJail({
      purpose: `${label} ${name}`,
      name: `${label}-${name}`,
      leases,
      runDir: this.#runDir(name),
      runDirBytes: RUN_DIR_BYTES,
      cgroup: { memoryBytes: MEMORY_BYTES, tasks: TASKS, cpus: CPUS },
      limits: { openFiles: OPEN_FILES, fileBytes: RUN_DIR_BYTES, tasks: TASKS },
      profile: 'tunnel',
      readOnly: await readClosure(run, [WIREGUARD_GO]),
      ownedDir: { source: socketDir, target: SOCKET_DIR },
      network: this.#places.underlay,
      prepare: async (uid) => {
        const input = `tuntap add dev ${name} mode tun user ${uid}\nlink set dev ${name} mtu ${mtuBytes}\n`;
        await runChecked(this.#places.onUnderlay, [IP, '-batch', '-'], { input });
      },
      command: () => [WIREGUARD_GO, '--foreground', name],
      failure: 'internal',
    });
    const deadline = performance.now() + START_TIMEOUT_MS;
    while ((await this.read(name)) === undefined) {
      if (performance.now() > deadline) throw new RingwallError('internal', `wireguard-go does not answer for ${name}`);
      await sleep(10);
    }
    await runChecked(this.#places.onUnderlay, [IP, 'link', 'set', 'dev', name, 'netns', this.#places.network]);
  }

  /** Undefined where nobody serves the interface. */
  async read(name: string): Promise<TunnelState | undefined> {
    const answer = await askUapi(this.#socket(name), 'get=1\n\n');
    return answer === undefined ? undefined : parseState(answer);
  }

  async write(tunnel: Tunnel, state: TunnelState): Promise<void> {
    const request = renderChange(state, tunnel);
    if (request === '') return;
    const answer = await askUapi(this.#socket(tunnel.interface), request);
    if (answer !== 'errno=0\n\n') {
      const said = answer?.trim() ?? 'nothing';
      throw new RingwallError('internal', `wireguard-go refuses the tunnel to ${tunnel.host}: it says ${said}`);
    }
  }

  async close(name: string): Promise<void> {
    const { leases } = this.#options;
    const runDir = this.#runDir(name);
    for (const lease of leases.list().filter((held) => held.runDir === runDir)) await endLease(leases, lease);
    await rm(this.#socketDir(name), { recursive: true, force: true });
    await removeInterface(this.#places, name);
  }

  #runDir(name: string): string {
    return join(this.#options.dir, `${name}-jail`);
  }

  #socketDir(name: string): string {
    return join(this.#options.dir, name);
  }

  #socket(name: string): string {
    return join(this.#socketDir(name), `${name}.sock`);
  }
}
