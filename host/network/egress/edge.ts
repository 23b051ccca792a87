// The edge of this host: one namespace between its networks and the world, with a cable to each network that goes out and one interface
// that leads there. Rules stand before anything is plugged in, and until everything is plugged out.
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError } from '@ringwall/api/errors';
import {
  type AddressRange,
  compileEdge,
  type DropReason,
  type Count,
  type EdgeCable,
  type Egress,
  isEdgeCable,
  MAX_WAYS_OUT,
  readCounts,
} from '@ringwall/netpolicy';
import { run, runChecked } from '../../exec/index.ts';
import { listIn, plain } from '../cables.ts';
import { readTraffic, type Traffic } from '../counts.ts';
import { closeNamespace, inNamespace, isNamespace, type NamespaceRun, openRouter } from '../namespace.ts';
import { listRules } from '../nft.ts';
import { StandingRules } from '../walls.ts';
import { edgeCableName, isCableWhole, makeCable, type NetworkOut, removeCable, slotOf } from './cable.ts';
import { bringUplink, type EdgeSides, linksOf, returnUplinks, uplinkName } from './uplink.ts';

export type { NetworkOut };

const IP = '/usr/sbin/ip';
/** RFC 5382, REQ-5: a connection that says nothing is known for two hours and four minutes; by itself Linux keeps it for five days. */
const ESTABLISHED_SECONDS = 7_440;

export interface EdgePlace {
  /** The file that pins its namespace. */
  readonly pin: string;
  /** The namespace of the host's own interfaces, as a file: this process's own where nothing is said. */
  readonly host?: string;
}

export interface EdgeWanted {
  readonly egress: Egress;
  readonly networks: readonly NetworkOut[];
  /** Of this host, of its networks, of other hosts. */
  readonly protectedRanges: readonly AddressRange[];
}

/** Of one network, since its cable and the rules were made. */
export interface EdgeCounts extends Traffic {
  /** Of what it has sent. */
  readonly refused: ReadonlyMap<DropReason, Count>;
}

export class Edge {
  readonly #place: Required<EdgePlace>;
  #wanted: EdgeWanted | undefined;
  #inEdge: NamespaceRun | undefined;
  #rules: StandingRules | undefined;
  #trouble: string | undefined;
  /** Of networks that go out: a network keeps its number while it does. */
  #slots: ReadonlyMap<string, number> = new Map();
  /** One change at a time, and none while it is looked at. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ pin, host = `/proc/${process.pid}/ns/net` }: EdgePlace) {
    this.#place = { pin, host };
  }

  /** What could not be done when it was tried last. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Makes it so; what is so already is left alone, also where another process has made it. What fails is for lookAfter() to try again. */
  set(wanted: EdgeWanted): Promise<void> {
    return this.#alone(async () => {
      this.#wanted = wanted;
      await this.#bring(wanted, []);
    });
  }

  /** Undefined where the network does not get out now. */
  counts(network: string): Promise<EdgeCounts | undefined> {
    return this.#alone(async () => {
      const inEdge = this.#inEdge;
      if (inEdge === undefined || !this.#slots.has(network) || !(await isNamespace(this.#place.pin))) return undefined;
      const [traffic, listing] = await Promise.all([readTraffic(inEdge), listRules(inEdge, false)]);
      const device = edgeCableName(network);
      const cable = traffic.get(device);
      const { refusedFrom } = readCounts(listing, { decisions: new Map() });
      return cable === undefined ? undefined : { ...cable, refused: refusedFrom.get(device) ?? new Map() };
    });
  }

  /** Takes all of it away: whatever was given by the host is the host's again. Idempotent. */
  close(): Promise<void> {
    return this.#alone(async () => {
      this.#wanted = undefined;
      this.#trouble = undefined;
      await this.#forget();
      if (!(await isNamespace(this.#place.pin))) return;
      const sides = this.#sides(inNamespace(run, this.#place.pin));
      await returnUplinks(sides, undefined);
      for (const { ifname } of await linksOf(sides.inEdge)) {
        if (isEdgeCable(String(ifname))) await removeCable(sides.inEdge, String(ifname));
      }
      await closeNamespace(run, this.#place.pin);
    });
  }

  /** Looks after it until it is told to stop: what somebody has changed is put back, and said. */
  async lookAfter(say: (what: string) => void, everyMs: number, signal: AbortSignal): Promise<void> {
    let [held, hearing]: [StandingRules?, Disposable?] = [];
    while (!signal.aborted) {
      const before = this.#trouble;
      const broken: string[] = [];
      await this.#alone(async () => this.#wanted !== undefined && this.#bring(this.#wanted, broken)).catch(
        () => undefined,
      );
      for (const what of broken) say(`${what}; it is put back`);
      if (this.#trouble !== undefined && this.#trouble !== before) say(this.#trouble);
      if (held !== this.#rules) {
        hearing?.[Symbol.dispose]();
        [held, hearing] = [this.#rules, this.#rules?.hold()];
      }
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
    hearing?.[Symbol.dispose]();
  }

  async #bring(wanted: EdgeWanted, broken: string[]): Promise<void> {
    try {
      await this.#make(wanted, broken);
      this.#trouble = undefined;
    } catch (error) {
      this.#trouble = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  /** `broken` gets what stood and was not as it should be, also where something else then fails. */
  async #make(wanted: EdgeWanted, broken: string[]): Promise<void> {
    const { egress } = wanted;
    const inEdge = await this.#open(broken);
    const sides = this.#sides(inEdge);
    const standing = await linksOf(inEdge);
    const cables = this.#number(wanted.networks, standing);
    const gone = standing
      .map(({ ifname }) => String(ifname))
      .filter((name) => isEdgeCable(name) && !cables.some((cable) => cable.interface === name));
    for (const name of gone) await removeCable(inEdge, name);
    const others = await this.#enforce(inEdge, wanted, cables);
    if (others !== undefined) broken.push(`its rules were changed by somebody else${others}`);
    await returnUplinks(sides, uplinkName(egress));
    const uplink = await bringUplink(sides, egress);
    if (uplink.broken !== undefined) broken.push(uplink.broken);
    const routes = await this.#routes(inEdge);
    const failed: unknown[] = [];
    for (const cable of cables) {
      const place = {
        ...cable,
        inNetwork: inNamespace(run, cable.network.pin),
        families: egress.ways.map(({ address }) => address.family),
        mtuBytes: uplink.mtuBytes,
      };
      const link = standing.find(({ ifname }) => ifname === cable.interface);
      if (await isCableWhole(place, link, routes)) continue;
      broken.push(`the cable of ${cable.network.id} was changed`);
      // What is wrong with one network is no reason to keep another in.
      await makeCable(inEdge, place).catch((error: unknown) => failed.push(error));
    }
    if (failed.length > 0) throw failed[0];
  }

  async #open(broken: string[]): Promise<NamespaceRun> {
    if (this.#inEdge !== undefined) {
      if (await isNamespace(this.#place.pin)) return this.#inEdge;
      broken.push('its namespace was removed');
    }
    await this.#forget();
    this.#inEdge = await openRouter(run, this.#place.pin);
    return this.#inEdge;
  }

  /** Answers who else had changed them, as far as that is known; undefined where nobody had. */
  async #enforce(
    inEdge: NamespaceRun,
    { egress, protectedRanges }: EdgeWanted,
    cables: readonly EdgeCable[],
  ): Promise<string | undefined> {
    const compiled = compileEdge({ egress, uplink: uplinkName(egress), cables, protectedRanges });
    if (this.#rules === undefined) {
      this.#rules = new StandingRules(inEdge, 'the edge');
      await this.#rules.raise(compiled);
      const timeout = '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established';
      await runChecked(inEdge, ['/bin/sh', '-e', '-c', `echo ${ESTABLISHED_SECONDS} > ${timeout}`]);
      return undefined;
    }
    const others = (await this.#rules.inspect()) === 'changed' ? this.#rules.blame() : undefined;
    await (others === undefined ? this.#rules.change(compiled) : this.#rules.raise(compiled));
    return others;
  }

  /** Numbers that stand stay; who comes gets the first that is free. */
  #number(
    networks: readonly NetworkOut[],
    standing: readonly Record<string, unknown>[],
  ): (EdgeCable & { readonly network: NetworkOut })[] {
    const seen = new Map(standing.map((link) => [link['ifname'], slotOf(link)]));
    const slots = new Map<string, number>();
    for (const { id } of networks) {
      const slot = this.#slots.get(id) ?? seen.get(edgeCableName(id));
      if (slot !== undefined) slots.set(id, slot);
    }
    const taken = new Set(slots.values());
    for (const { id } of networks) {
      if (slots.has(id)) continue;
      const free = Array.from({ length: MAX_WAYS_OUT }, (_, slot) => slot).find((slot) => !taken.has(slot));
      if (free === undefined) {
        throw new RingwallError('network-failed', `more than ${MAX_WAYS_OUT} networks of this host want out`);
      }
      slots.set(id, free);
      taken.add(free);
    }
    this.#slots = slots;
    return networks.map((network) => ({
      network,
      interface: edgeCableName(network.id),
      slot: slots.get(network.id) ?? 0,
    }));
  }

  async #routes(inEdge: NamespaceRun): Promise<ReadonlySet<string>> {
    const { stdout } = await runChecked(inEdge, ['/bin/sh', '-c', `${IP} -json -4 route; ${IP} -json -6 route`]);
    const routes = stdout
      .toString()
      .split('\n')
      .flatMap((line) => listIn(line));
    return new Set(routes.map(({ dst, dev }) => `${plain(dst)} ${String(dev)}`));
  }

  #sides(inEdge: NamespaceRun): EdgeSides {
    const { pin, host } = this.#place;
    return { onHost: inNamespace(run, host), host, inEdge, edge: pin };
  }

  async #forget(): Promise<void> {
    this.#inEdge = undefined;
    await this.#rules?.leave();
    this.#rules = undefined;
    this.#slots = new Map();
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
