// What the warden sees of networks on this host, and of the way by which they get out. That the latter has changed is nobody's request:
// root did it, and the audit trail says so.
import type { NetworkId } from '@ringwall/api';
import type { HostWayOut, Network, ShownNetwork } from '@ringwall/api/networks';
import type { WardenClient } from '../machines/clients.ts';
import type { Store } from '../store/index.ts';

export interface Seen {
  readonly troubles: ReadonlyMap<NetworkId, string | undefined>;
  readonly wayOut: HostWayOut | undefined;
}

const WALLS = {
  changed: 'its walls were changed by somebody else, and are being put back',
  missing: 'it does not stand on this host yet',
} as const;

export class Standing {
  readonly #store: Pick<Store, 'appendEvent'>;
  readonly #warden: Pick<WardenClient, 'call'>;
  /** The way out as it was seen last; undefined where it was not looked at yet. */
  #known: string | undefined;

  constructor({ store, warden }: { store: Pick<Store, 'appendEvent'>; warden: Pick<WardenClient, 'call'> }) {
    this.#store = store;
    this.#warden = warden;
  }

  /** Nothing where the warden does not answer. */
  async see(): Promise<Seen> {
    const listed = await this.#warden.call({ op: 'list-networks' }).catch(() => undefined);
    if (listed === undefined) return { troubles: new Map(), wayOut: undefined };
    const troubles = new Map(
      listed.networks.map(({ network, walls, trouble }) => [
        network,
        trouble ?? (walls === 'standing' ? undefined : WALLS[walls]),
      ]),
    );
    return { troubles, wayOut: await this.#noteWay(listed.wayOut) };
  }

  /** The way out, once the warden has done what root has written. */
  async wayOut(): Promise<HostWayOut> {
    return await this.#noteWay(await this.#warden.call({ op: 'look-at-way-out' }));
  }

  async #noteWay(way: HostWayOut): Promise<HostWayOut> {
    const { state, uplink, addresses = [] } = way;
    const said =
      state === 'off'
        ? 'no network gets out of this host'
        : `networks get out of this host by ${uplink?.interface ?? 'an interface'} under ${addresses.join(' and ')}`;
    const message = state === 'broken' ? `the way out of this host does not stand: ${way.trouble ?? ''}` : said;
    const before = this.#known;
    this.#known = message;
    if (before !== undefined && before !== message) await this.#store.appendEvent({ kind: 'host.way-out', message });
    return way;
  }
}

/** Of a network whose rules may lead out. */
export function wayOutOf({ spec }: Network, seen: Seen | undefined): Pick<ShownNetwork['status'], 'wayOut'> {
  const wayOut = spec.definition['internet'] === 'nat' ? seen?.wayOut : undefined;
  return wayOut === undefined ? {} : { wayOut };
}
