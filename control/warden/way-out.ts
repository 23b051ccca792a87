// How networks of this host get out: only as root has written it into a file of their own, which no request can make. Read anew every
// few seconds; what is not there, or cannot be read, leads nowhere.
import { lstat } from 'node:fs/promises';
import { type NetworkId, RingwallError } from '@ringwall/api';
import type { HostWayOut } from '@ringwall/api/networks';
import { type Address, type Egress, neverReached, parseEgress, type ProtectedRange } from '@ringwall/netpolicy';
import type { EdgeCounts, NetworkOut } from '@ringwall/host/network/egress';
import { isErrno, readFileBounded } from '../files/index.ts';
import type { WardenContext } from './context.ts';
import { messageOf } from './request-log.ts';
import type { TenantNetwork } from './tenant-network.ts';

/** Some hundred ranges and a handful of addresses. */
const SETTING_LIMIT_BYTES = 64 * 1024;
/** Somebody who takes the way out down by hand finds it back after this. */
const LOOK_INTERVAL_MS = 2_000;

interface Setting {
  readonly text: string;
  readonly egress: Egress;
}

export class WayOut {
  readonly #context: Pick<WardenContext, 'layout' | 'parts'>;
  readonly #note: (text: string) => void;
  #setting: Setting | undefined;
  /** Why what is in the file is not believed. */
  #unreadable: string | undefined;
  /** What the edge was told last; undefined where there is none, or it has not been looked for one yet. */
  #told: string | undefined;
  #cleared = false;
  #looking: AbortController | undefined;

  constructor(context: Pick<WardenContext, 'layout' | 'parts' | 'note'>) {
    this.#context = context;
    this.#note = (text) => context.note(`the way out: ${text}`);
  }

  get resolvers(): readonly Address[] {
    return this.#setting?.egress.resolvers ?? [];
  }

  get protectedRanges(): readonly ProtectedRange[] {
    return this.#setting === undefined ? [] : neverReached(this.#setting.egress);
  }

  /** What root has written. */
  async read(): Promise<void> {
    const before = this.#setting?.text;
    const why = this.#unreadable;
    try {
      this.#setting = await readSetting(this.#context.layout.egress);
      this.#unreadable = undefined;
    } catch (error) {
      this.#setting = undefined;
      this.#unreadable = messageOf(error);
    }
    if (this.#unreadable !== undefined && this.#unreadable !== why) this.#note(`closed: ${this.#unreadable}`);
    else if (this.#setting === undefined && before !== undefined) this.#note('switched off');
    else if (this.#setting !== undefined && this.#setting.text !== before)
      this.#note(`is ${said(this.#setting.egress)}`);
  }

  /** Brings it about for these networks, whose rules stand. What goes wrong is said, and tried again. Never rejects. */
  async settle(networks: readonly NetworkOut[], protectedRanges: readonly ProtectedRange[]): Promise<void> {
    const { edge } = this.#context.parts.networks;
    const setting = this.#setting;
    try {
      if (setting === undefined) {
        if (this.#cleared) return;
        this.#looking?.abort();
        this.#looking = undefined;
        this.#told = undefined;
        await edge.close();
        this.#cleared = true;
        return;
      }
      this.#cleared = false;
      const ranges = protectedRanges.map(({ family, first, last }) => [family, String(first), String(last)]);
      const told = JSON.stringify([setting.text, networks.map(({ id, pin }) => [id, pin]), ranges]);
      if (told === this.#told) return;
      this.#told = told;
      await edge.set({ egress: setting.egress, networks, protectedRanges });
    } catch (error) {
      this.#note(messageOf(error));
    }
    if (this.#looking !== undefined || setting === undefined) return;
    this.#looking = new AbortController();
    void edge.lookAfter(this.#note, LOOK_INTERVAL_MS, this.#looking.signal);
  }

  /** It stands on; nobody looks after it until the next warden. */
  forget(): void {
    this.#looking?.abort();
    this.#looking = undefined;
  }

  /** What cannot be read is not there: the edge is looked after, and its trouble said. */
  async counts(network: NetworkId): Promise<EdgeCounts | undefined> {
    if (this.#setting === undefined) return undefined;
    return await this.#context.parts.networks.edge.counts(network).catch(() => undefined);
  }

  status(): HostWayOut {
    const setting = this.#context.layout.egress;
    if (this.#unreadable !== undefined) return { state: 'broken', setting, trouble: this.#unreadable };
    if (this.#setting === undefined) return { state: 'off', setting };
    const { uplink, ways, resolvers } = this.#setting.egress;
    const { trouble } = this.#context.parts.networks.edge;
    return {
      state: trouble === undefined ? 'on' : 'broken',
      setting,
      ...(trouble === undefined ? {} : { trouble }),
      uplink: { ...uplink },
      addresses: ways.map(({ address }) => address.text),
      resolvers: resolvers.map(({ text }) => text),
    };
  }
}

type Networks = ReadonlyMap<NetworkId, Pick<TenantNetwork, 'judged' | 'stands' | 'leadsOut' | 'layout'>>;

/** Of all networks but this. */
export function rangesOf(networks: Networks, but?: NetworkId): ProtectedRange[] {
  const others = [...networks].filter(([id]) => id !== but);
  return others.flatMap(([, tenant]) =>
    (tenant.judged()?.network.addresses ?? []).map((range) => ({ ...range, what: 'of another network of this host' })),
  );
}

/** Those that may get out, because their rules stand. */
export function waysOut(networks: Networks): NetworkOut[] {
  return [...networks].flatMap(([id, tenant]) => {
    const network = tenant.stands && tenant.leadsOut ? tenant.judged()?.network : undefined;
    return network === undefined ? [] : [{ id, pin: tenant.layout.pin, ranges: network.addresses }];
  });
}

/** Undefined where root has said nothing. */
async function readSetting(path: string): Promise<Setting | undefined> {
  const found = await lstat(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  if (!found.isFile() || found.uid !== 0 || (found.mode & 0o022) !== 0) {
    throw new RingwallError('unauthorized', `${path} is not root's alone to write, and is not believed`);
  }
  const text = new TextDecoder().decode(await readFileBounded(path, SETTING_LIMIT_BYTES));
  try {
    return { text, egress: parseEgress(JSON.parse(text)) };
  } catch (error) {
    throw new RingwallError('bad-request', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

function said({ uplink, ways, resolvers }: Egress): string {
  const by = uplink.kind === 'given' ? uplink.interface : `an interface on ${uplink.interface}`;
  const addresses = ways.map(({ address, gateway }) => `${address.text} past ${gateway.text}`);
  const names =
    resolvers.length === 0 ? 'no names of the world' : `names by ${resolvers.map(({ text }) => text).join(', ')}`;
  return `${by}, under ${addresses.join(' and ')}, ${names}`;
}
