// Other hosts of a network, as the API asks for them. The warden keeps them: what it is told here could come from a control plane just
// as well.
import { type NetworkId, RingwallError } from '@ringwall/api';
import type { ExportedPeer, ExportPeer, NetworkPeer } from '@ringwall/api/network-peers';
import type { WardenClient } from '../machines/clients.ts';
import type { Store } from '../store/index.ts';

export class Peers {
  readonly #store: Store;
  readonly #warden: WardenClient;

  constructor({ store, warden }: { readonly store: Store; readonly warden: WardenClient }) {
    this.#store = store;
    this.#warden = warden;
  }

  async list(network: string): Promise<NetworkPeer[]> {
    const id = await this.#find(network);
    return (await this.#warden.call({ op: 'list-peers', network: id })).peers;
  }

  async export(network: string, order: ExportPeer): Promise<ExportedPeer> {
    const id = await this.#find(network);
    return await this.#warden.call({ op: 'export-peer', network: id, ...order });
  }

  async import(network: string, file: string): Promise<NetworkPeer> {
    const id = await this.#find(network);
    return await this.#warden.call({ op: 'import-peer', network: id, file });
  }

  async remove(network: string, host: string): Promise<void> {
    const id = await this.#find(network);
    const { peers } = await this.#warden.call({ op: 'list-peers', network: id });
    if (!peers.some((peer) => peer.host === host)) {
      const known = peers.map((peer) => peer.host);
      throw new RingwallError('not-found', `the network knows no host ${JSON.stringify(host.slice(0, 64))}`, {
        hint: known.length === 0 ? 'it is on this host alone' : `there are: ${known.join(', ')}`,
      });
    }
    await this.#warden.call({ op: 'remove-peer', network: id, host });
  }

  async #find(network: string): Promise<NetworkId> {
    const found = await this.#store.networks.find(network);
    if (found !== undefined) return found.id;
    throw new RingwallError('not-found', `there is no network ${JSON.stringify(network.slice(0, 64))}`, {
      hint: 'see which there are: ringwall network ls',
    });
  }
}
