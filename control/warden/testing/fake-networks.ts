// Networks of the mind for the warden's unit tests: what stands in each namespace, by the file that pins it.
import { generateKeyPairSync, sign } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Beginning, BrokenCable, SiteCounts } from '@ringwall/host/network';
import type { EdgeCounts, EdgeWanted } from '@ringwall/host/network/egress';
import type { Tunnel } from '@ringwall/host/network/tunnels';
import { type CompiledNetwork, type ProtectedRange, type Share } from '@ringwall/netpolicy';
import { Secret } from '../../keys/index.ts';
import type { NetworkPart, NetworkSite, PeerPart } from '../parts.ts';

/** X and Y of P-256. */
const POINT_BYTES = 64;

const NOTHING = { packets: 0, bytes: 0 } as const;

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
  /** How many look after its walls. */
  lookedAfter = 0;
  /** Machines that are given addresses and names, by name; nobody where nothing is served. */
  named: readonly string[] = [];
  resolvers: readonly string[] = [];
  /** What its rules let out, as ranges. */
  outside: readonly string[] = [];
  /** Interfaces whose frames go to the port as well. */
  mirrored: ReadonlySet<string> = new Set();
  /** How connections began that stand. */
  begun: readonly Beginning[] = [];
  counts: SiteCounts = { refused: new Map(), refusedFrom: new Map(), decisions: [], cables: new Map(), putBack: 0 };
}

export class FakeNetworks implements NetworkPart {
  readonly standing = new Map<string, FakeNetwork>();
  /** This host's. */
  own: readonly ProtectedRange[] = [];
  /** What the edge was told; undefined where there is none. */
  out: EdgeWanted | undefined;
  readonly edge: NetworkPart['edge'] = {
    trouble: undefined,
    set: async (wanted) => {
      this.out = wanted;
    },
    close: async () => {
      this.out = undefined;
    },
    counts: async (network) => {
      const isOut = this.out?.networks.some(({ id }) => id === network) === true;
      return isOut ? this.counted : undefined;
    },
    lookAfter: async () => undefined,
  };
  /** Of each network that gets out. */
  counted: EdgeCounts = { ...{ sent: NOTHING, received: NOTHING }, refused: new Map() };
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

  async ownRanges(): Promise<readonly ProtectedRange[]> {
    return this.own;
  }

  #site(network: FakeNetwork): NetworkSite {
    const load = async (compiled: CompiledNetwork): Promise<void> => {
      await this.#effect('networks.load');
      network.ruled = sendersOf(compiled);
      network.outside = outsideOf(compiled);
    };
    return {
      names: {
        apply: async ({ machines, resolvers }) => {
          await this.#effect('networks.names');
          network.named = machines.map(({ name }) => name);
          network.resolvers = resolvers.map(({ text }) => text);
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
        lookAfter: async (_say, _everyMs, signal) => {
          network.lookedAfter += 1;
          signal.addEventListener('abort', () => (network.lookedAfter -= 1), { once: true });
        },
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
      endConnections: async (mayBegin) => {
        await this.#effect('networks.end');
        const { begun } = network;
        network.begun = begun.filter((each) => mayBegin(each));
        return begun.length - network.begun.length;
      },
      tunnels: async () => ({
        set: async (tunnels) => {
          await this.#effect('networks.tunnels');
          network.tunnels = tunnels;
        },
        status: async () =>
          network.tunnels.map(({ host, generation, interface: device }) => {
            const counts = { lastHandshakeSeconds: 1, receivedBytes: 2, sentBytes: 3 };
            return { host, generation, interface: device, state: 'up', ...counts };
          }),
        lookAfter: async () => undefined,
      }),
      sniff: async ({ on }) => {
        await this.#effect('networks.sniff');
        return Readable.from([`packets of ${on === 'refused' ? on : on.interface}`]);
      },
      mirror: async (machines) => {
        await this.#effect('networks.mirror');
        const missing = machines.filter((machine) => !network.mirrored.has(machine.interface));
        network.mirrored = new Set(machines.map((machine) => machine.interface));
        return missing;
      },
      counts: async () => {
        await this.#effect('networks.counts');
        return network.counts;
      },
      indexes: async (machines) => new Map(machines.map((machine, index) => [machine, index + 1])),
      broken: async (sharers) =>
        sharers.flatMap(({ machine }): BrokenCable[] => {
          if (network.gone.has(machine.interface)) return [{ machine, how: 'gone' }];
          const isWhole = network.connected.has(machine.interface) && network.shares.has(machine.interface);
          return isWhole ? [] : [{ machine, how: 'changed' }];
        }),
    };
  }
}

/** The interfaces that the compiled guard lets send. */
function sendersOf({ ruleset }: CompiledNetwork): string[] {
  const sets = ruleset.tables
    .flatMap(({ sets: own }) => own)
    .filter(({ name }) => /^(?:senders|others|far)[46]?$/.test(name));
  const devices = sets.flatMap(({ elements }) => elements.map(({ key: [device] }) => device));
  return [...new Set(devices)].filter((device) => typeof device === 'string').toSorted();
}

/** `first-last` of each range that a rule could lead out to. */
function outsideOf({ ruleset }: CompiledNetwork): string[] {
  const sets = ruleset.tables.flatMap(({ sets: own }) => own).filter(({ name }) => name === 'outside4');
  return sets.flatMap(({ elements }) =>
    elements.map(({ key: [part] }) => {
      const { first = part, last = part } = Object(part);
      return `${String(first)}-${String(last)}`;
    }),
  );
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
