// One tenant network on this host: what is wanted of it, and the way from what stands to that. Cables are cut before walls change and
// connected after, so that at no moment more passes than one of the two states allows.
import { RingwallError, type MachineId } from '@ringwall/api';
import {
  atGateway,
  compileBridged,
  compileNetwork,
  type CompiledNetwork,
  compileSwitched,
  printRange,
  shareOf,
  type Address,
  type Machine,
  type Network,
  type ProtectedRange,
  type Share,
} from '@ringwall/netpolicy';
import type { Sharer, SiteCounts, SniffOrder } from '@ringwall/host/network';
import type { Readable } from 'node:stream';
import { CableMirror } from './cable-mirror.ts';
import type { NetworkLayout } from './layout.ts';
import type { NetworkPeers } from './network-peers.ts';
import { goesOnBy, inPolicyWords, judge, type Plan, type WantedNetwork } from './network-plan.ts';
import type { NetworkPart, NetworkSite, SiteTunnels } from './parts.ts';
import { TimeLimits } from './time-limits.ts';
import { sameCable, sameRules, sameShare } from './same-machine.ts';

/** Somebody who flushes tables by hand finds them back after this. */
const LOOK_INTERVAL_MS = 2_000;

export interface Settled {
  readonly made: boolean;
  readonly walls: 'raised' | 'changed' | 'kept';
  readonly admitted: readonly MachineId[];
  readonly dismissed: readonly MachineId[];
}

export class TenantNetwork {
  readonly layout: NetworkLayout;
  readonly mirror: CableMirror;
  readonly #part: NetworkPart;
  readonly #note: (text: string) => void;
  #wanted: WantedNetwork | undefined;
  #plan: Plan | undefined;
  /** Whether the plan is to be made anew, though what is wanted is the same. */
  #stale = false;
  #site: NetworkSite | undefined;
  /** What was said last could not be done: until it is, no cable is put back. */
  #unsettled = false;
  /** Machines that the rules in force know, and those whose cable is connected: the same, but where something went wrong. */
  #ruled: ReadonlyMap<MachineId, Machine> = new Map();
  #connected: ReadonlyMap<MachineId, Machine> = new Map();
  /** Those that were cut while something else was being settled: nothing connects them before the next. */
  readonly #cut = new Set<MachineId>();
  /** Whether connections may stand that began by other rules than those in force. */
  #outlived = false;
  readonly #limits: TimeLimits;
  /** Of a segment: those that no rule connects with others. */
  #isolated: readonly Machine[] = [];
  /** What each of those may receive now. */
  #shares: ReadonlyMap<MachineId, Share> = new Map();
  /** What addresses and names are served of, and why they are not. */
  #served: Plan | undefined;
  #unserved: string | undefined;
  #looking: AbortController | undefined;
  #peers: NetworkPeers | undefined;
  #protected: readonly ProtectedRange[] = [];
  /** Who is asked for names of the world. */
  #resolvers: readonly Address[] = [];
  #tunnels: SiteTunnels | undefined;
  #tunnelTrouble: string | undefined;
  /** What could not be done, until it is. */
  trouble: string | undefined;

  /** `due` is called when a rule's time may be up: whoever settles it calls endTimedOut() then. `recorded`: what an earlier warden was told. */
  constructor(
    layout: NetworkLayout,
    part: NetworkPart,
    { note, due }: { readonly note: (text: string) => void; readonly due: () => void },
    recorded?: WantedNetwork,
  ) {
    this.layout = layout;
    this.#wanted = recorded;
    this.#part = part;
    this.#note = (text) => note(`${layout.id}: ${text}`);
    this.mirror = new CableMirror(this.#note);
    this.#limits = new TimeLimits(due);
  }

  get wanted(): WantedNetwork | undefined {
    return this.#wanted;
  }

  get connected(): readonly MachineId[] {
    return [...this.#connected.keys()];
  }

  get tunnelTrouble(): string | undefined {
    return this.#tunnelTrouble;
  }

  /** Whether rules are known to be in force in its namespace. */
  get stands(): boolean {
    return this.#site !== undefined;
  }

  /** Its other hosts, as they are from now on: the next settling goes by them. */
  setPeers(peers: NetworkPeers): void {
    this.#peers = peers;
    this.#stale = true;
  }

  /** What its machines reach by no way from now on; whether that makes other rules. */
  protect(ranges: readonly ProtectedRange[]): boolean {
    const differs = printed(ranges) !== printed(this.#protected);
    this.#protected = ranges;
    if (differs && this.leadsOut) this.#stale = true;
    return this.#stale;
  }

  /** Asks these for names of the world from now on. */
  resolveBy(resolvers: readonly Address[]): void {
    if (resolvers.map(({ text }) => text).join() === this.#resolvers.map(({ text }) => text).join()) return;
    this.#resolvers = resolvers;
    this.#served = undefined;
  }

  /** Whether its rules can lead out, so that they need to know what is protected. */
  get leadsOut(): boolean {
    return this.judged()?.network.internet === 'nat';
  }

  /** What its peers are judged by, and told of. */
  judged(): { readonly network: Network; readonly machines: readonly Machine[] } | undefined {
    const plan = this.#plan ?? (this.#wanted === undefined ? undefined : judge(this.#wanted, undefined, []));
    return plan === undefined ? undefined : { network: plan.network, machines: [...plan.machines.values()] };
  }

  async tunnelStatus(): ReturnType<SiteTunnels['status']> {
    return (await this.#tunnels?.status(Date.now() / 1_000)) ?? [];
  }

  async endTunnels(): Promise<void> {
    await this.#tunnels?.set([]);
  }

  /** Makes it so. `admitted` are the machines that may use it now. Throws with what stood before still in force. */
  async settle(wanted: WantedNetwork, admitted: ReadonlySet<MachineId>): Promise<Settled> {
    const known = this.#stale || this.#wanted !== wanted ? undefined : this.#plan;
    const plan = known ?? judge(wanted, this.#peers, this.#protected);
    const newPlan = plan !== this.#plan;
    if (this.#plan !== undefined && this.#plan.network.mode !== plan.network.mode) {
      throw new RingwallError('conflict', `a ${this.#plan.network.mode} network cannot become ${plan.network.mode}`, {
        hint: 'make another one',
      });
    }
    const next = new Map([...plan.machines].filter(([id]) => admitted.has(id)));
    const before = this.#connected;
    this.#cut.clear();
    this.#unsettled = true;
    try {
      const { site, made } = await this.#open(plan.network.mode);
      const first = this.#site === undefined;
      await site.cut(await this.#leaving(site, plan, next, first));
      this.#connected = new Map([...before].filter(([id, machine]) => sameCable(machine, next.get(id))));
      const walls = await this.#changeWalls(site, plan, next);
      if (walls === 'changed' && newPlan) this.#outlived = true;
      this.#ruled = next;
      this.#site = site;
      this.#plan = plan;
      this.#wanted = wanted;
      this.#stale = false;
      this.#limits.follow(plan.network);
      if (this.#outlived) await this.#endConnections(site, plan);
      await this.endTimedOut();
      if (first) this.#lookAfterSite(site);
      await this.#connect(site);
      await site.keepApart([...this.#connected.values()], this.#isolated);
      this.#unsettled = false;
      await this.settleMirror();
      await this.#serve(site, plan);
      if (newPlan || first) await this.#settleTunnels(site, plan);
      this.trouble ??= this.#tunnelTrouble ?? plan.trouble;
      const admittedNow = [...next.keys()].filter((id) => !sameCable(before.get(id), next.get(id)));
      return { made, walls, admitted: admittedNow, dismissed: [...before.keys()].filter((id) => !next.has(id)) };
    } catch (error) {
      this.trouble = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  /** Ends what stands by a rule whose time is up, and waits for the next one's. */
  async endTimedOut(): Promise<void> {
    const [site, plan] = [this.#site, this.#plan];
    if (site === undefined || plan === undefined) return;
    if (this.#limits.isDue(nowSeconds())) await this.#endConnections(site, plan);
    this.#limits.wait(nowSeconds());
  }

  /** Takes a machine off at once, whatever is being settled: whoever is trusted no more waits for nobody. Its rules go when it is settled. */
  async cut(id: MachineId): Promise<void> {
    // Also one that is being let in right now, which nobody knows yet.
    this.#cut.add(id);
    const [site, machine] = [this.#site, this.#ruled.get(id)];
    if (site !== undefined && machine !== undefined) await site.cut([machine]);
  }

  /** What somebody has done to the namespace or to cables is put back, and said; walls are looked after by themselves. */
  async look(admitted: ReadonlySet<MachineId>): Promise<void> {
    const [wanted, site] = [this.#wanted, this.#site];
    if (wanted === undefined) return;
    if (site !== undefined && !(await this.#part.isThere(this.layout.pin))) {
      this.#note('its namespace is gone; it is made anew, for machines that start from now on');
      this.forget();
    }
    if (site === undefined || this.#site === undefined || this.#unsettled) {
      await this.settle(wanted, admitted);
      return;
    }
    await this.endTimedOut();
    const before = new Set(this.#connected.keys());
    const again = (await this.#connect(site)).filter((id) => before.has(id));
    await this.settleMirror();
    if (this.#plan !== undefined) await this.#serve(site, this.#plan);
    if (again.length > 0) this.#note(`cables were changed by somebody else; they are put back: ${again.join(', ')}`);
  }

  /** Connects what the rules know and is not connected; answers which those were. A tap that is gone comes with the next start. */
  async #connect(site: NetworkSite): Promise<readonly MachineId[]> {
    const wanted = this.#plan === undefined ? [] : sharersOf(this.#plan, this.#ruled);
    const broken = new Map((await site.broken(wanted)).map(({ machine, how }) => [machine, how]));
    const without = wanted.filter(({ machine }) => broken.get(machine) === 'gone').map(({ id }) => id);
    const trouble = without.length === 0 ? undefined : `no cable until the next start: ${without.join(', ')}`;
    if (trouble !== undefined && trouble !== this.trouble) this.#note(trouble);
    this.trouble = trouble ?? this.#tunnelTrouble ?? this.#plan?.trouble;
    const there = wanted.filter(({ id, machine }) => broken.get(machine) !== 'gone' && !this.#cut.has(id));
    const changed = there.filter(
      ({ id, machine, share }) => broken.get(machine) === 'changed' || !sameShare(share, this.#shares.get(id)),
    );
    await site.connect(changed);
    this.#connected = new Map(there.map(({ id, machine }) => [id, machine]));
    this.#shares = new Map(there.map(({ id, share }) => [id, share]));
    return changed.map(({ id }) => id);
  }

  /** Packets of a machine's cable, or those that are dropped. */
  async sniff(on: MachineId | 'refused', limits: Omit<SniffOrder, 'on'>): Promise<Readable> {
    const site = this.#site;
    if (site === undefined) throw doesNotStand();
    if (on === 'refused') return await site.sniff({ ...limits, on });
    const machine = this.#connected.get(on);
    if (machine === undefined) throw new RingwallError('conflict', 'the machine is not on its network now');
    return await site.sniff({ ...limits, on: { interface: machine.interface } });
  }

  /** Those of the cables that are connected now. What goes wrong with it is said, and keeps no machine from its network. */
  async settleMirror(): Promise<void> {
    if (this.#site !== undefined) await this.mirror.settle(this.#site, this.#connected);
  }

  /** What was counted in it, and whose each interface is. */
  async counts(): Promise<{ readonly counts: SiteCounts; readonly machines: ReadonlyMap<string, MachineId> }> {
    const [site, plan] = [this.#site, this.#plan];
    if (site === undefined || plan === undefined) throw doesNotStand();
    const machines = new Map([...plan.machines].map(([id, machine]) => [machine.interface, id]));
    return { counts: await site.counts(), machines };
  }

  /** By which the log of what is dropped names whose cables are connected. */
  async cables(): Promise<readonly { readonly index: number; readonly machine: MachineId }[]> {
    // On a switch each has a gateway beside its cable.
    const ends = [...this.#connected].flatMap(([id, machine]) =>
      [machine, atGateway(machine)].map((end) => ({ id, end })),
    );
    const indexes = (await this.#site?.indexes(ends.map(({ end }) => end))) ?? new Map<Machine, number>();
    return ends.flatMap(({ id, end }) => {
      const index = indexes.get(end);
      return index === undefined ? [] : [{ index, machine: id }];
    });
  }

  /**
   * Addresses and names are those of all its machines, whoever is admitted: that is the walls' to know. Where they cannot be served,
   * machines are admitted and dismissed all the same.
   */
  async #serve({ names }: NetworkSite, plan: Plan): Promise<void> {
    if (this.#served === plan) return;
    try {
      if (plan.network.dns) {
        const resolvers = plan.network.internet === 'nat' ? this.#resolvers : [];
        await names.apply({ network: plan.network, machines: [...plan.machines.values()], resolvers });
      } else await names.stop();
      this.#served = plan;
      this.#unserved = undefined;
    } catch (error) {
      const trouble = `addresses and names are not served: ${error instanceof Error ? error.message : String(error)}`;
      if (trouble !== this.#unserved) this.#note(trouble);
      this.#unserved = trouble;
      this.trouble ??= trouble;
    }
  }

  async wallState(): Promise<'standing' | 'changed' | 'missing'> {
    if (this.#site === undefined || !(await this.#part.isThere(this.layout.pin))) return 'missing';
    return await this.#site.walls.inspect();
  }

  /** Ends the looking after; what stands goes on standing. */
  forget(): void {
    this.#looking?.abort();
    this.#looking = undefined;
    this.#limits[Symbol.dispose]();
    this.#site = undefined;
    this.#tunnels = undefined;
    this.#served = undefined;
    this.mirror.forget();
    this.#ruled = new Map();
    this.#connected = new Map();
    this.#shares = new Map();
  }

  async #open(mode: Network['mode']): Promise<{ readonly site: NetworkSite; readonly made: boolean }> {
    if (this.#site !== undefined && (await this.#part.isThere(this.layout.pin)))
      return { site: this.#site, made: false };
    this.forget();
    const made = !(await this.#part.isThere(this.layout.pin));
    return { site: await this.#part.open(this.layout.pin, mode), made };
  }

  /** Whose cables are to be cut. Of a namespace that an earlier warden left, all that are not known to be admitted. */
  async #leaving(
    site: NetworkSite,
    plan: Plan,
    next: ReadonlyMap<MachineId, Machine>,
    first: boolean,
  ): Promise<Machine[]> {
    if (!first) {
      return [...this.#connected]
        .filter(([id, machine]) => !sameCable(machine, next.get(id)))
        .map(([, machine]) => machine);
    }
    const others = new Map([...plan.machines].filter(([id]) => !next.has(id)));
    const broken = await site.broken(sharersOf(plan, others));
    const gone = new Set(broken.filter(({ how }) => how === 'gone').map(({ machine }) => machine));
    return [...others.values()].filter((machine) => !gone.has(machine));
  }

  /** Rules are asked when a connection begins, so what stands by a rule that is no more, or no more in force, is ended. */
  async #endConnections(site: NetworkSite, plan: Plan): Promise<void> {
    const now = nowSeconds();
    const ended = await site.endConnections(goesOnBy(plan, now));
    this.#outlived = false;
    this.#limits.asked(now);
    if (ended > 0) this.#note(`connections that its rules do not allow any more are ended: ${ended}`);
  }

  async #changeWalls(
    { walls }: NetworkSite,
    plan: Plan,
    next: ReadonlyMap<MachineId, Machine>,
  ): Promise<Settled['walls']> {
    const before = this.#ruled;
    const compile = () => inPolicyWords(() => this.#compile(plan, [...next.values()]));
    if (this.#site === undefined) {
      await walls.raise(compile());
      return 'raised';
    }
    const added = [...next].filter(([id, machine]) => !sameRules(machine, before.get(id)));
    const removed = [...before].filter(([id, machine]) => !sameRules(machine, next.get(id)));
    const samePolicy = this.#plan?.text === plan.text;
    if (samePolicy && added.length + removed.length === 0) return 'kept';
    const [comes, goes] = [added[0]?.[1], removed[0]?.[1]];
    if (samePolicy && added.length + removed.length === 1) {
      if (comes !== undefined && (await walls.admit(comes))) return 'changed';
      if (goes !== undefined && (await walls.dismiss(goes))) return 'changed';
    }
    await walls.change(compile());
    return 'changed';
  }

  #compile({ network, far, protectedRanges }: Plan, machines: readonly Machine[]): CompiledNetwork {
    if (network.mode === 'routed') return compileNetwork(network, [...machines, ...far], { protectedRanges });
    if (network.mode === 'openvswitch') return compileSwitched(network, machines);
    const bridged = compileBridged(network, machines);
    this.#isolated = bridged.isolated;
    return bridged;
  }

  /** What goes wrong with them is said, and is no reason to keep machines of this host from each other. */
  async #settleTunnels(site: NetworkSite, { network, far }: Plan): Promise<void> {
    const wanted = this.#peers?.tunnels(far) ?? [];
    if ((this.#peers?.isEmpty ?? true) && this.#tunnels === undefined) return;
    try {
      if (this.#tunnels === undefined) {
        this.#tunnels = await site.tunnels(this.layout, network.addresses);
        if (this.#looking !== undefined)
          void this.#tunnels.lookAfter(this.#note, LOOK_INTERVAL_MS, this.#looking.signal);
      }
      await this.#tunnels.set(wanted);
      this.#tunnelTrouble = undefined;
    } catch (error) {
      this.#tunnelTrouble = `its tunnels: ${error instanceof Error ? error.message : String(error)}`;
      this.#note(this.#tunnelTrouble);
    }
  }

  #lookAfterSite({ walls, names }: NetworkSite): void {
    this.#looking = new AbortController();
    void walls.lookAfter(this.#note, LOOK_INTERVAL_MS, this.#looking.signal);
    void names.lookAfter(this.#note, LOOK_INTERVAL_MS, this.#looking.signal);
  }
}

/** What each of them may take. */
function sharersOf(
  { network }: Plan,
  machines: ReadonlyMap<MachineId, Machine>,
): (Sharer & { readonly id: MachineId })[] {
  return [...machines].map(([id, machine]) => ({ id, machine, share: shareOf(network.shares, machine) }));
}

function printed(ranges: readonly ProtectedRange[]): string {
  return ranges.map((range) => printRange(range)).join();
}

function nowSeconds(): number {
  return Date.now() / 1_000;
}

function doesNotStand(): RingwallError {
  return new RingwallError('network-failed', 'the network does not stand on this host');
}
