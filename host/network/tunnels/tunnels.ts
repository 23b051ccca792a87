// The tunnels of one network on this host: made, changed by their differences, looked after, taken away. The walls do not depend on
// them: without a tunnel nothing arrives, and what would leave by it finds no way.
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError } from '@ringwall/api/errors';
import { prefixesOf, type Address, type AddressRange } from '@ringwall/netpolicy';
import { run, runChecked } from '../../exec/index.ts';
import { forgetConnections } from '../connections.ts';
import { inNamespace } from '../namespace.ts';
import { listInterfaces, routeTunnels, tunnelMtu, type Places, type SizedTunnel } from './interface.ts';
import { hasKernelWireGuard, KernelWireGuard } from './kernel.ts';
import {
  allowedIp,
  base64Of,
  isTunnelInterface,
  printEndpoint,
  type PeerState,
  type Tunnel,
  type TunnelState,
} from './tunnel.ts';
import { UserspaceWireGuard, type UserspaceOptions } from './userspace.ts';

/** WireGuard's REJECT_AFTER_TIME: a session lives no longer, so that nobody has answered since. */
const SILENT_AFTER_SECONDS = 180;

export interface TunnelsOptions extends UserspaceOptions {
  /** The namespace with the way to the other hosts, as a file: this process's own where nothing is said. */
  readonly underlay?: string;
  /** The namespace of the network, as a file. */
  readonly network: string;
  /** Of the network: what is in them and behind no cable and no tunnel is nowhere, and never goes out of the host. */
  readonly ranges: readonly AddressRange[];
}

export interface TunnelStatus {
  readonly host: string;
  readonly generation: number;
  readonly interface: string;
  readonly state:
    | 'up' // heard of within the last minutes
    | 'silent' // the other host does not answer, or not any more
    | 'down'; // WireGuard does not answer on this host
  readonly lastHandshakeSeconds: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

type WireGuard = KernelWireGuard | UserspaceWireGuard;

export class Tunnels {
  /** Which WireGuard this host has. */
  readonly kind: WireGuard['kind'];
  readonly #places: Places;
  readonly #wireGuard: WireGuard;
  #wanted: readonly Tunnel[] = [];
  /** By which each host's machines are reached: the interface, by the name of the host. */
  #used: ReadonlyMap<string, string> = new Map();
  /** One change at a time, and none while they are looked at. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(places: Places, wireGuard: WireGuard) {
    this.#places = places;
    this.#wireGuard = wireGuard;
    this.kind = wireGuard.kind;
  }

  static async open({ underlay = '/proc/self/ns/net', network, ranges, ...options }: TunnelsOptions): Promise<Tunnels> {
    const places = {
      underlay,
      onUnderlay: inNamespace(run, underlay),
      network,
      inside: inNamespace(run, network),
    };
    const nowhere = ranges
      .flatMap((range) => prefixesOf(range))
      .map((prefix) => `route replace unreachable ${prefix}\n`);
    await runChecked(places.inside, ['/usr/sbin/ip', '-batch', '-'], { input: nowhere.join('') });
    const kernel = await hasKernelWireGuard(run);
    return new Tunnels(places, kernel ? new KernelWireGuard(places) : new UserspaceWireGuard(places, options));
  }

  /** The tunnels as they are to be. What is as it should be is left alone, also where another process has made it. */
  set(wanted: readonly Tunnel[]): Promise<void> {
    return this.#alone(async () => {
      const left = this.#wanted.flatMap((old) => old.addresses).filter((address) => !hasAddress(wanted, address));
      this.#wanted = wanted;
      const interfaces = await listInterfaces(this.#places);
      // Also what an earlier process of ours has left: the namespace is nobody else's.
      const gone = [...interfaces].filter(
        (name) => isTunnelInterface(name) && !wanted.some((tunnel) => tunnel.interface === name),
      );
      for (const name of gone) await this.#wireGuard.close(name);
      await this.#make(wanted, interfaces);
      await forgetConnections(this.#places.inside, left);
    });
  }

  status(nowSeconds: number): Promise<TunnelStatus[]> {
    return this.#alone(() =>
      Promise.all(
        this.#wanted.map(async (tunnel) => {
          const state = await this.#wireGuard.read(tunnel.interface);
          const peer = state?.peers[0];
          const { lastHandshakeSeconds = 0, receivedBytes = 0, sentBytes = 0 } = peer ?? {};
          const heard = isHeard(peer, nowSeconds);
          return {
            host: tunnel.host,
            generation: tunnel.generation,
            interface: tunnel.interface,
            state: state === undefined ? 'down' : heard ? 'up' : 'silent',
            lastHandshakeSeconds,
            receivedBytes,
            sentBytes,
          };
        }),
      ),
    );
  }

  /** Looks after them until it is told to stop: what has ended is started again, what somebody has changed is put back, and said. */
  async lookAfter(say: (what: string) => void, everyMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#alone(() => this.#look(say)).catch((error: unknown) =>
        say(`the tunnels of the network could not be looked after: ${String(error)}`),
      );
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Takes all of them away. */
  close(): Promise<void> {
    return this.set([]);
  }

  async #look(say: (what: string) => void): Promise<void> {
    const interfaces = await listInterfaces(this.#places);
    let troubled = false;
    const states = new Map<string, TunnelState | undefined>();
    for (const tunnel of this.#wanted) {
      const state = interfaces.has(tunnel.interface) ? await this.#wireGuard.read(tunnel.interface) : undefined;
      states.set(tunnel.interface, state);
      const trouble = troubleOf(tunnel, state);
      if (trouble === undefined) continue;
      say(`the tunnel to ${tunnel.host} ${trouble}; it is put back`);
      troubled = true;
    }
    const moved = [...chooseTunnels(this.#wanted, states)].some(([host, device]) => this.#used.get(host) !== device);
    if (troubled || moved) await this.#make(this.#wanted, interfaces);
  }

  /** All that is wanted: each tunnel first, then the routes into them. */
  async #make(wanted: readonly Tunnel[], interfaces: ReadonlySet<string>): Promise<void> {
    const made = await Promise.all(wanted.map((tunnel) => this.#makeOne(tunnel, interfaces)));
    const used = chooseTunnels(wanted, new Map(made.map(({ tunnel, state }) => [tunnel.interface, state])));
    const sized = made.map(({ tunnel }) => tunnel);
    await routeTunnels(this.#places, sized, ({ host, interface: device }) => used.get(host) === device);
    this.#used = used;
  }

  async #makeOne(
    tunnel: Tunnel,
    interfaces: ReadonlySet<string>,
  ): Promise<{ readonly tunnel: SizedTunnel; readonly state: TunnelState }> {
    const { interface: device } = tunnel;
    const mtuBytes = await tunnelMtu(this.#places, tunnel.endpoint);
    let state = interfaces.has(device) ? await this.#wireGuard.read(device) : undefined;
    if (state === undefined) {
      await this.#wireGuard.open(device, mtuBytes);
      state = await this.#wireGuard.read(device);
    }
    if (state === undefined) throw new RingwallError('internal', `WireGuard does not answer for ${device}`);
    await this.#wireGuard.write(tunnel, state);
    return { tunnel: { ...tunnel, mtuBytes }, state };
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** For each host the tunnel with the latest keys by which it was heard; where there is none, that with the first. */
function chooseTunnels(
  tunnels: readonly Tunnel[],
  states: ReadonlyMap<string, TunnelState | undefined>,
): ReadonlyMap<string, string> {
  const nowSeconds = Date.now() / 1_000;
  const chosen = new Map<string, string>();
  for (const tunnel of tunnels.toSorted((a, b) => a.generation - b.generation)) {
    const heard = isHeard(states.get(tunnel.interface)?.peers[0], nowSeconds);
    if (heard || !chosen.has(tunnel.host)) chosen.set(tunnel.host, tunnel.interface);
  }
  return chosen;
}

function isHeard(peer: PeerState | undefined, nowSeconds: number): boolean {
  return nowSeconds - (peer?.lastHandshakeSeconds ?? 0) <= SILENT_AFTER_SECONDS;
}

/** What is not as it was set: its counts and handshakes are WireGuard's own. */
function troubleOf(tunnel: Tunnel, state: TunnelState | undefined): string | undefined {
  if (state === undefined) return 'has ended';
  const [peer, ...others] = state.peers;
  if (
    state.privateKey !== base64Of(tunnel.privateKey) ||
    state.listenPort !== tunnel.listenPort ||
    others.length > 0 ||
    peer?.publicKey !== base64Of(tunnel.publicKey) ||
    peer.presharedKey !== base64Of(tunnel.presharedKey) ||
    !hasAll(peer, tunnel)
  ) {
    return 'was changed by somebody else';
  }
  const endpoint = printEndpoint(tunnel.endpoint);
  return peer.endpoint === endpoint
    ? undefined
    : `has followed its peer from ${endpoint} to ${peer.endpoint ?? 'nowhere'}`;
}

function hasAll(peer: PeerState, { addresses }: Tunnel): boolean {
  const held = new Set(peer.allowedIps);
  return held.size === addresses.length && addresses.every((address) => held.has(allowedIp(address)));
}

function hasAddress(tunnels: readonly Tunnel[], { text }: Address): boolean {
  return tunnels.some(({ addresses }) => addresses.some((address) => address.text === text));
}
