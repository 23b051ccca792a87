// The other hosts of one network, as this host knows them: a key for each, and what each has said of itself, signed. Kept beside the
// network's record; the private key lies wrapped by the host key, and goes to this host's WireGuard alone.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { networkIdSchema } from '@ringwall/api/cards';
import type { ExportedPeer, ExportPeer, NetworkPeer } from '@ringwall/api/network-peers';
import { toHex } from '@ringwall/bytes';
import {
  newTunnelKey,
  tunnelInterface,
  tunnelPublicKey,
  type Tunnel,
  type TunnelStatus,
} from '@ringwall/host/network/tunnels';
import {
  MAX_PEER_FILE_CHARACTERS,
  NetPolicyError,
  type Network,
  parseAddress,
  parseFarMachines,
  type FarMachine,
  type Machine,
  type Peer,
  signPeer,
  verifyPeer,
} from '@ringwall/netpolicy';
import { z } from 'zod';
import { makePrivateDirectory, namesIn, writeFileAtomic } from '../files/index.ts';
import { Secret } from '../keys/index.ts';
import type { NetworkLayout } from './layout.ts';
import type { PeerPart } from './parts.ts';
import { readJson } from './records.ts';
import { messageOf } from './request-log.ts';

/** The file that was imported, quoted once more, and the wrapped key. */
const RECORD_LIMIT_BYTES = 2 * MAX_PEER_FILE_CHARACTERS;
/** WireGuard's own, and those after it: one for each tunnel of this host. */
const FIRST_PORT = 51_820;
const LAST_PORT = 55_915;

const recordSchema = z.strictObject({
  version: z.literal(1),
  network: networkIdSchema,
  host: z.string(),
  self: z.string(),
  listenPort: z.int(),
  wrappedKey: z.base64(),
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
}

export class NetworkPeers {
  readonly #place: NetworkLayout;
  readonly #part: PeerPart;
  #known: ReadonlyMap<string, Known> = new Map();

  private constructor(place: NetworkLayout, part: PeerPart) {
    this.#place = place;
    this.#part = part;
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
      const record = await readJson(join(place.peers, name), recordSchema, RECORD_LIMIT_BYTES);
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
    return [...this.#known.values()].map(({ record }) => record.listenPort);
  }

  get isEmpty(): boolean {
    return this.#known.size === 0;
  }

  /** For another host. `taken`: ports that this host listens on for other networks. */
  async export(
    { host, to, address, port, newKey = false }: ExportPeer,
    network: Network,
    machines: readonly Machine[],
    taken: ReadonlySet<number>,
  ): Promise<ExportedPeer> {
    if (host === to) throw new RingwallError('bad-request', `${host} needs no tunnel to itself`);
    const known = this.#known.get(to);
    if (known !== undefined && known.record.self !== host) {
      throw new RingwallError('conflict', `${to} knows this host as ${known.record.self}, not as ${host}`);
    }
    const record = known === undefined || newKey ? await this.#make(to, host, taken, known) : known.record;
    using privateKey = this.#keyOf(record);
    const peer: Peer = {
      network: network.name,
      host,
      to,
      serial: Date.now(),
      endpoint: { address: parseAddress(address, 'address'), port: port ?? record.listenPort },
      publicKey: tunnelPublicKey(privateKey.expose()),
      machines,
    };
    const file = await signPeer(peer, this.#part.signer);
    return { file, listenPort: record.listenPort, machines: machines.length };
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
    parseFarMachines(
      [...others.flatMap(({ said: word }) => this.#describe(word)), ...this.#describe(said)],
      network,
      near,
    );
    const record = { ...(known?.record ?? (await this.#make(host, to, taken, undefined))), file };
    await this.#keep({ record, said });
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
        const more = [...taken, ...this.#describe(said)];
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
      const { host, endpoint, publicKey } = said.peer;
      using privateKey = this.#keyOf(record);
      return [
        {
          host,
          interface: this.#interfaceOf(host),
          privateKey: new Uint8Array(privateKey.expose()),
          listenPort: record.listenPort,
          publicKey,
          endpoint,
          addresses: far.filter((machine) => machine.host === host).flatMap(({ addresses }) => addresses),
        },
      ];
    });
  }

  async list(status: readonly TunnelStatus[]): Promise<NetworkPeer[]> {
    return await Promise.all(
      [...this.#known.values()].map(async ({ record, said }) => {
        const { host, self, listenPort } = record;
        const base = { host, self, listenPort };
        if (said === undefined)
          return { ...base, state: 'waiting' as const, machines: [], receivedBytes: 0, sentBytes: 0 };
        const { endpoint, serial, machines } = said.peer;
        const { address, port } = endpoint;
        const tunnel = status.find((each) => each.host === host);
        const { state = 'down', lastHandshakeSeconds = 0, receivedBytes = 0, sentBytes = 0 } = tunnel ?? {};
        return {
          ...base,
          state,
          endpoint: address.family === 4 ? `${address.text}:${port}` : `[${address.text}]:${port}`,
          signedBy: toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(said.signedBy)))),
          saidAt: new Date(serial).toISOString(),
          machines: machines.map(({ name, addresses }) => ({ name, addresses: addresses.map(({ text }) => text) })),
          ...(lastHandshakeSeconds === 0
            ? {}
            : { lastHandshakeAt: new Date(lastHandshakeSeconds * 1_000).toISOString() }),
          receivedBytes,
          sentBytes,
        };
      }),
    );
  }

  #describe(said: Known['said']): Described[] {
    if (said === undefined) return [];
    const { host, machines } = said.peer;
    return machines.map(({ name, labels, addresses }) => {
      return { name, labels, addresses: addresses.map(({ text }) => text), host, interface: this.#interfaceOf(host) };
    });
  }

  /** With a new key; a port that it has already stays. */
  async #make(host: string, self: string, taken: ReadonlySet<number>, known: Known | undefined): Promise<PeerRecord> {
    using key = Secret.take(newTunnelKey());
    const listenPort = known?.record.listenPort ?? firstFree(taken);
    if (listenPort > LAST_PORT) throw new RingwallError('host-full', 'every port for tunnels is taken');
    const wrapped = this.#part.wrap(`${this.#place.id} ${host}`, key);
    const record: PeerRecord = {
      ...known?.record,
      version: 1,
      network: this.#place.id,
      host,
      self,
      listenPort,
      wrappedKey: Buffer.from(wrapped).toString('base64'),
    };
    await this.#keep({ record, said: known?.said });
    return record;
  }

  async #keep(known: Known): Promise<void> {
    await makePrivateDirectory(this.#place.peers);
    await writeFileAtomic(this.#file(known.record.host), `${JSON.stringify(known.record)}\n`);
    this.#known = new Map([...this.#known, [known.record.host, known]]);
  }

  #keyOf({ host, wrappedKey }: PeerRecord): Secret {
    return this.#part.unwrap(`${this.#place.id} ${host}`, new Uint8Array(Buffer.from(wrappedKey, 'base64')));
  }

  #interfaceOf(host: string): string {
    return tunnelInterface(this.#place.id, host);
  }

  #file(host: string): string {
    return join(this.#place.peers, `${host}.json`);
  }
}

function firstFree(taken: ReadonlySet<number>): number {
  let port = FIRST_PORT;
  while (taken.has(port)) port += 1;
  return port;
}
