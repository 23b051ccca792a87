// Networks of the mind for the warden's unit tests: what stands in each namespace, by the file that pins it.
import { generateKeyPairSync, sign } from 'node:crypto';
import { Readable } from 'node:stream';
import type { BrokenCable } from '@ringwall/host/network';
import type { Tunnel } from '@ringwall/host/network/tunnels';
import type { CompiledNetwork, Share } from '@ringwall/netpolicy';
import { Secret } from '../../keys/index.ts';
import type { NetworkPart, NetworkSite, PeerPart } from '../parts.ts';

/** X and Y of P-256. */
const POINT_BYTES = 64;

export class FakeNetwork {
  /** Machines that the rules in force know, by name. */
  ruled: readonly string[] = [];
  /** Machines whose cable is connected. */
  readonly connected = new Set<string>();
  /** What each of them may take. */
  readonly shares = new Map<string, Share>();
  /** Machines whose ports the segment keeps apart. */
  isolated: readonly string[] = [];
  readonly gone = new Set<string>();
  tunnels: readonly Tunnel[] = [];
  state: 'standing' | 'changed' = 'standing';
  /** Machines that are given addresses and names, by name; nobody where nothing is served. */
  named: readonly string[] = [];
}

export class FakeNetworks implements NetworkPart {
  readonly standing = new Map<string, FakeNetwork>();
  readonly #effect: (name: string) => Promise<void>;

  constructor(effect: (name: string) => Promise<void>) {
    this.#effect = effect;
  }

  async isThere(pin: string): Promise<boolean> {
    return this.standing.has(pin);
  }

  async open(pin: string): Promise<NetworkSite> {
    await this.#effect('networks.open');
    const network = this.standing.get(pin) ?? new FakeNetwork();
    this.standing.set(pin, network);
    return this.#site(network);
  }

  async close(pin: string): Promise<void> {
    await this.#effect('networks.close');
    this.standing.delete(pin);
  }

  #site(network: FakeNetwork): NetworkSite {
    const load = async (compiled: CompiledNetwork): Promise<void> => {
      await this.#effect('networks.load');
      network.ruled = sendersOf(compiled);
    };
    return {
      names: {
        apply: async ({ machines }) => {
          await this.#effect('networks.names');
          network.named = machines.map(({ name }) => name);
          return 'told';
        },
        stop: async () => {
          network.named = [];
        },
        lookAfter: async () => undefined,
      },
      walls: {
        raise: load,
        change: load,
        admit: async () => false,
        dismiss: async () => false,
        inspect: async () => network.state,
        lookAfter: async () => undefined,
      },
      connect: async (sharers) => {
        await this.#effect('networks.connect');
        for (const { machine, share } of sharers) {
          network.connected.add(machine.interface);
          network.shares.set(machine.interface, share);
        }
      },
      keepApart: async (_, isolated) => {
        network.isolated = isolated.map(({ name }) => name);
      },
      cut: async (machines) => {
        if (machines.length > 0) await this.#effect('networks.cut');
        for (const { interface: device } of machines) network.connected.delete(device);
      },
      tunnels: async () => ({
        set: async (tunnels) => {
          await this.#effect('networks.tunnels');
          network.tunnels = tunnels;
        },
        status: async () =>
          network.tunnels.map(({ host, interface: device }) => {
            return { host, interface: device, state: 'up', lastHandshakeSeconds: 1, receivedBytes: 2, sentBytes: 3 };
          }),
        lookAfter: async () => undefined,
      }),
      sniff: async ({ on }) => {
        await this.#effect('networks.sniff');
        return Readable.from([`packets of ${on === 'refused' ? on : on.interface}`]);
      },
      indexes: async (machines) => new Map(machines.map((machine, index) => [machine, index + 1])),
      broken: async (machines) =>
        machines.flatMap((machine): BrokenCable[] => {
          if (network.gone.has(machine.interface)) return [{ machine, how: 'gone' }];
          return network.connected.has(machine.interface) ? [] : [{ machine, how: 'changed' }];
        }),
    };
  }
}

/** The interfaces that the compiled guard lets send. */
function sendersOf({ ruleset }: CompiledNetwork): string[] {
  const sets = ruleset.tables.flatMap(({ sets: own }) => own).filter(({ name }) => /^(?:senders[46]?|far)$/.test(name));
  const devices = sets.flatMap(({ elements }) => elements.map(({ key: [device] }) => device));
  return [...new Set(devices)].filter((device) => typeof device === 'string').toSorted();
}

/** Signs with a key of its own, and wraps nothing. */
export function fakePeerPart(): PeerPart {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // The point is the end of the key's encoding (RFC 5480, 2.2).
  const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-POINT_BYTES);
  return {
    signer: {
      publicKey: new Uint8Array(point),
      sign: async (message) => new Uint8Array(sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
    },
    wrap: (_, key) => new Uint8Array(key.expose()),
    unwrap: (_, wrapped) => Secret.take(wrapped),
  };
}
