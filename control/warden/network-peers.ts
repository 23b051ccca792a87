// The other hosts of one network, as this host knows them: a key for each, and what each has said of itself, signed. Kept beside the
// network's record; the private key lies wrapped by the host key, and goes to this host's WireGuard alone.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { networkIdSchema } from '@ringwall/api/cards';
import type { ExportedPeer, ExportPeer, NetworkPeer } from '@ringwall/api/network-peers';
import { toHex } from '@ringwall/bytes';
import { tunnelInterface, type Tunnel, type TunnelStatus } from '@ringwall/host/network/tunnels';
import {
  MAX_PEER_FILE_CHARACTERS,
  NetPolicyError,
  type Network,
  parseAddress,
  parseFarMachines,
  printEndpoint,
  printRange,
  type FarMachine,
  type Machine,
  type Peer,
  type ProtectedRange,
  signPeer,
  verifyPeer,
} from '@ringwall/netpolicy';
import { z } from 'zod';
import { makePrivateDirectory, namesIn, writeFileAtomic } from '../files/index.ts';
import type { NetworkLayout } from './layout.ts';
import type { PeerPart } from './parts.ts';
import { readJson } from './records.ts';
import { messageOf } from './request-log.ts';
import { OVERLAP_MS, PeerKeys } from './peer-keys.ts';
import type { TenantNetwork } from './tenant-network.ts';
import { tunnelKeySchema } from './tunnel-keys.ts';

/** The file that was imported, quoted once more, and the wrapped key. */
const RECORD_LIMIT_BYTES = 2 * MAX_PEER_FILE_CHARACTERS;
/** All that is known of a network's other hosts, in one line to ringwalld. */
const FILES_LIMIT_CHARACTERS = 2_000_000;

const recordSchema = z.strictObject({
  version: z.literal(2),
  network: networkIdSchema,
  host: z.string(),
  self: z.string(),
  /** Where the other host was told that this one is. */
  address: z.string().optional(),
  /** By generation: the one in use, and the next. */
  keys: z.array(tunnelKeySchema).min(1).max(2),
  /** As it came. */
  file: z.string().optional(),
});
type PeerRecord = z.infer<typeof recordSchema>;

interface Known {
  readonly record: PeerRecord;
  readonly said: { readonly peer: Peer; readonly signedBy: Uint8Array } | undefined;
}

/** As parseFarMachines() takes it. */
interface Described {
  readonly name: string;
  readonly labels: object;
  readonly addresses: readonly string[];
  readonly host: string;
  readonly interface: string;
  readonly olderInterface?: string;
}

export class NetworkPeers {
  readonly #place: NetworkLayout;
  readonly #part: PeerPart;
  readonly #keys: PeerKeys;
  #known: ReadonlyMap<string, Known> = new Map();

  private constructor(place: NetworkLayout, part: PeerPart) {
    this.#place = place;
    this.#part = part;
    this.#keys = new PeerKeys(place.id, part);
  }

  /** What is on the disk, judged by the network as it is now. */
  static async open(
    place: NetworkLayout,
    part: PeerPart,
    network: Network | undefined,
    note: (text: string) => void,
  ): Promise<NetworkPeers> {
    const peers = new NetworkPeers(place, part);
    const known = new Map<string, Known>();
    for (const name of (await namesIn(place.peers)).filter((each) => each.endsWith('.json'))) {
      const path = join(place.peers, name);
      const record = await readJson(path, recordSchema, RECORD_LIMIT_BYTES).catch((error: unknown) => {
        note(`what is known of a host is left out: ${messageOf(error)}`);
        return undefined;
      });
      if (record === undefined || record.network !== place.id) continue;
      const { file } = record;
      const read = file === undefined || network === undefined ? undefined : verifyPeer(file, network);
      const said = await read?.catch((error: unknown) => note(`the host ${record.host}: ${messageOf(error)}`));
      known.set(record.host, { record, said: said ?? undefined });
    }
    peers.#known = known;
    return peers;
  }

  /** Ports that its tunnels listen on. */
  get ports(): readonly number[] {
    return [...this.#known.values()].flatMap(({ record }) => record.keys.map(({ listenPort }) => listenPort));
  }

  /** Where the other hosts are: no machine's business. */
  get endpoints(): readonly ProtectedRange[] {
    return [...this.#known.values()].flatMap(({ said }) => {
      if (said === undefined) return [];
      const { host, address } = said.peer;
      const { family, value } = address;
      return [{ family, first: value, last: value, what: `where the host ${host} is` }];
    });
  }

  get isEmpty(): boolean {
    return this.#known.size === 0;
  }

  /** For another host. `taken`: ports that this host listens on for other networks. */
  async export(
    { host, to, address: told, newKey = false }: ExportPeer,
    network: Network,
    machines: readonly Machine[],
    taken: ReadonlySet<number>,
  ): Promise<ExportedPeer> {
    if (host === to) throw new RingwallError('bad-request', `${host} needs no tunnel to itself`);
    const known = this.#known.get(to);
    if (known !== undefined && known.record.self !== host) {
      throw new RingwallError('conflict', `${to} knows this host as ${known.record.self}, not as ${host}`);
    }
    const address = told ?? known?.record.address;
    if (address === undefined) {
      throw new RingwallError('bad-request', `${to} has not been told where this host is`, {
        hint: 'say it: --address',
      });
    }
    parseAddress(address, 'address');
    const keys =
      known === undefined
        ? this.#keys.first(to, taken)
        : newKey
          ? this.#keys.withNext(to, known.record.keys, known.said?.peer.keys ?? [], taken)
          : known.record.keys;
    const base = known?.record ?? { version: 2 as const, network: this.#place.id, host: to, self: host };
    const record = { ...base, address, keys: [...keys] };
    const peer: Peer = {
      network: network.name,
      host,
      to,
      serial: Date.now(),
      address: parseAddress(address, 'address'),
      keys: keys.map((key) => this.#keys.tell(to, key)),
      rules: await digestOf(network),
      machines,
    };
    const file = await signPeer(peer, this.#part.signer);
    await this.#keep({ record, said: known?.said });
    return { file, listenPorts: keys.map(({ listenPort }) => listenPort), machines: machines.length };
  }

  /** From another host. Nothing is believed of it but what it says of its own machines, where nobody else has their names or addresses. */
  async import(file: string, network: Network, near: readonly Machine[], taken: ReadonlySet<number>): Promise<string> {
    const said = await verifyPeer(file, network);
    const { host, to, serial } = said.peer;
    const known = this.#known.get(host);
    if (known !== undefined && known.record.self !== to) {
      throw new RingwallError('conflict', `it is for ${to}: ${host} was told that this host is ${known.record.self}`);
    }
    if (known?.said !== undefined) {
      if (toHex(known.said.signedBy) !== toHex(said.signedBy)) {
        throw new RingwallError('conflict', `it is signed by another key than what ${host} has said before`, {
          hint: `where ${host} was set up anew: ringwall network peer rm ${network.name} ${host}, then add it`,
        });
      }
      if (known.said.peer.serial > serial) {
        throw new RingwallError('conflict', `it is older than what ${host} has said last`);
      }
    }
    const others = [...this.#known.values()].filter(({ record }) => record.host !== host);
    const length = others.reduce((sum, { record }) => sum + (record.file?.length ?? 0), file.length);
    if (length > FILES_LIMIT_CHARACTERS) {
      throw new RingwallError(
        'too-large',
        `hosts of one network say at most ${FILES_LIMIT_CHARACTERS} characters in all`,
      );
    }
    parseFarMachines(
      [...others.flatMap((other) => this.#describe(other)), ...this.#describe({ record: known?.record, said })],
      network,
      near,
    );
    const base = known?.record ?? { version: 2 as const, network: this.#place.id, host, self: to };
    const keys = this.#keys.answered({ host, self: to }, known?.record.keys ?? [], said.peer.keys, taken);
    await this.#keep({ record: { ...base, keys, file }, said });
    return host;
  }

  async remove(host: string): Promise<void> {
    await rm(this.#file(host), { force: true });
    this.#known = new Map([...this.#known].filter(([name]) => name !== host));
  }

  /** Machines of other hosts. Where something of a host does not fit what is here now, all of it is left out: ours is surer. */
  far(
    network: Network,
    near: readonly Machine[],
  ): { readonly machines: readonly FarMachine[]; readonly trouble?: string } {
    let taken: Described[] = [];
    let trouble: string | undefined;
    for (const { record, said } of this.#known.values()) {
      try {
        const more = [...taken, ...this.#describe({ record, said })];
        parseFarMachines(more, network, near);
        taken = more;
      } catch (error) {
        if (!(error instanceof NetPolicyError)) throw error;
        trouble = `the machines of ${record.host} are left out: ${error.message}`;
      }
    }
    const machines = parseFarMachines(taken, network, near);
    return { machines, ...(trouble === undefined ? {} : { trouble }) };
  }

  /** With their keys: they live as long as this host's WireGuard has them. */
  tunnels(far: readonly FarMachine[]): readonly Tunnel[] {
    return [...this.#known.values()].flatMap(({ record, said }): Tunnel[] => {
      if (said === undefined) return [];
      const { host, address } = said.peer;
      const addresses = far.filter((machine) => machine.host === host).flatMap((machine) => machine.addresses);
      return this.#keys.pairs(record.host, record.keys, said.peer.keys).map((pair): Tunnel => {
        const { generation, port } = pair.own;
        const device = tunnelInterface(this.#place.id, host, generation);
        const endpoint = { address, port: pair.theirs.port };
        const secrets = this.#keys.open(said.peer.network, record.host, pair);
        const { publicKey } = pair.theirs;
        return { host, generation, interface: device, ...secrets, listenPort: port, publicKey, endpoint, addresses };
      });
    });
  }

  /** Drops keys whose successors have worked long enough: the next settling goes without them. */
  async lookAt(tenant: Pick<TenantNetwork, 'tunnelStatus' | 'setPeers'>): Promise<void> {
    if ([...this.#known.values()].every(({ record }) => record.keys.length < 2)) return;
    const status = await tenant.tunnelStatus();
    const nowMs = Date.now();
    for (const { record, said } of this.#known.values()) {
      const [, next] = record.keys;
      if (next === undefined) continue;
      const tunnel = status.find(({ host, generation }) => host === record.host && generation === next.generation);
      if (next.worksSinceMs === undefined) {
        if (tunnel?.state !== 'up') continue;
        const keys = record.keys.map((key) => (key === next ? { ...key, worksSinceMs: nowMs } : key));
        await this.#keep({ record: { ...record, keys }, said });
      } else if (nowMs - next.worksSinceMs >= OVERLAP_MS && tunnel?.state === 'up') {
        await this.#keep({ record: { ...record, keys: [next] }, said });
        tenant.setPeers(this);
      }
    }
  }

  async list(status: readonly TunnelStatus[], network: Network): Promise<NetworkPeer[]> {
    const ownRules = toHex(await digestOf(network));
    return await Promise.all(
      [...this.#known.values()].map(async ({ record, said }) => {
        const { host, self, keys } = record;
        const listenPort = keys.at(-1)?.listenPort ?? 0;
        const base = { host, self, listenPort, keys: keys.length > 1 ? ('changing' as const) : ('settled' as const) };
        if (said === undefined)
          return { ...base, state: 'waiting' as const, machines: [], receivedBytes: 0, sentBytes: 0 };
        const { address, serial, machines } = said.peer;
        const tunnels = status.filter((each) => each.host === host).toSorted((a, b) => b.generation - a.generation);
        const sum = (bytes: 'receivedBytes' | 'sentBytes'): number =>
          tunnels.reduce((total, tunnel) => total + tunnel[bytes], 0);
        const heardSeconds = Math.max(0, ...tunnels.map(({ lastHandshakeSeconds }) => lastHandshakeSeconds));
        const theirs = said.peer.keys.at(-1)?.port ?? 0;
        return {
          ...base,
          // What the other has to say yet: an answer to what this one has offered.
          state:
            this.#keys.pairs(record.host, record.keys, said.peer.keys).length === 0
              ? ('waiting' as const)
              : stateOf(tunnels),
          endpoint: address.family === 4 ? `${address.text}:${theirs}` : `[${address.text}]:${theirs}`,
          signedBy: toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(said.signedBy)))),
          saidAt: new Date(serial).toISOString(),
          machines: machines.map(({ name, labels, addresses }) => {
            return { name, labels: { ...labels }, addresses: addresses.map(({ text }) => text) };
          }),
          rules: toHex(said.peer.rules) === ownRules ? ('same' as const) : ('other' as const),
          ...(heardSeconds === 0 ? {} : { lastHandshakeAt: new Date(heardSeconds * 1_000).toISOString() }),
          receivedBytes: sum('receivedBytes'),
          sentBytes: sum('sentBytes'),
        };
      }),
    );
  }

  #describe({ record, said }: { readonly record: PeerRecord | undefined; readonly said: Known['said'] }): Described[] {
    if (said === undefined) return [];
    const { host, machines } = said.peer;
    const pairs = record === undefined ? [] : this.#keys.pairs(record.host, record.keys, said.peer.keys);
    const [newest = 1, older] = pairs.map(({ own }) => own.generation).toSorted((a, b) => b - a);
    const device = (generation: number): string => tunnelInterface(this.#place.id, host, generation);
    const ways = {
      interface: device(newest),
      ...(older === undefined ? {} : { olderInterface: device(older) }),
    };
    return machines.map(({ name, labels, addresses }) => {
      return { name, labels, addresses: addresses.map(({ text }) => text), host, ...ways };
    });
  }

  async #keep(known: Known): Promise<void> {
    await makePrivateDirectory(this.#place.peers);
    await writeFileAtomic(this.#file(known.record.host), `${JSON.stringify(known.record)}\n`);
    this.#known = new Map([...this.#known, [known.record.host, known]]);
  }

  #file(host: string): string {
    return join(this.#place.peers, `${host}.json`);
  }
}

/** The best of its tunnels: while keys change, the next one has yet to come up. */
function stateOf(tunnels: readonly TunnelStatus[]): TunnelStatus['state'] {
  return (['up', 'silent'] as const).find((state) => tunnels.some((tunnel) => tunnel.state === state)) ?? 'down';
}

/** Of what decides: two hosts whose digests are the same decide the same. */
async function digestOf({ addresses, internet, mode, rules }: Network): Promise<Uint8Array> {
  const deciding = rules.map(({ name, action, from, to, services, after, before }) => {
    return JSON.stringify([name, action, printEndpoint(from), printEndpoint(to), services.toSorted(), after, before]);
  });
  const text = JSON.stringify([addresses.map((range) => printRange(range)), internet, mode, deciding.toSorted()]);
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}
