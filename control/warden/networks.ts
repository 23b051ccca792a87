// The networks of this host: what ringwalld asks of them, and what a warden finds when it starts. Nothing is on a network because it
// runs: a boot is admitted when ringwalld says that it has proven itself, and until it says otherwise.
import { rm } from 'node:fs/promises';
import { RingwallError, type MachineId, type NetworkId } from '@ringwall/api';
import { MACHINES_PER_NETWORK } from '@ringwall/api/networks';
import type { MirrorAnswer } from '@ringwall/api/mirrors';
import type { WardenRequest, WardenResponse } from '@ringwall/api/warden';
import { printRange, type ProtectedRange } from '@ringwall/netpolicy';
import type { EdgeCounts } from '@ringwall/host/network/egress';
import { namesIn } from '../files/index.ts';
import type { WardenContext } from './context.ts';
import { isMachineId, isNetworkId, machineLayout, networkLayout, type NetworkLayout } from './layout.ts';
import { readAdmission, readNetwork, writeAdmission, writeNetwork } from './network-records.ts';
import { NetworkPeers } from './network-peers.ts';
import { Queues } from './queue.ts';
import { isRunningBoot, readBoot, type RunningBoot } from './records.ts';
import { messageOf } from './request-log.ts';
import { endUnallowed, mirrorStateOf, readMirrored, setMirrored } from './mirrors.ts';
import { asPolicyTrouble, sameWanted, type WantedNetwork } from './network-plan.ts';
import { TenantNetwork } from './tenant-network.ts';
import { rangesOf, waysOut, WayOut } from './way-out.ts';

type Order<Op extends WardenRequest['op']> = Extract<WardenRequest, { op: Op }>;

export class Networks {
  readonly #context: Pick<WardenContext, 'layout' | 'parts' | 'note'>;
  readonly #networks = new Map<NetworkId, TenantNetwork>();
  readonly #peers = new Map<NetworkId, NetworkPeers>();
  /** As it was read last. */
  #protected: readonly ProtectedRange[] = [];
  readonly #way: WayOut;
  /** Boots that are admitted, as their files say it. */
  readonly #admitted = new Map<MachineId, { readonly network: NetworkId; readonly boot: string }>();
  /** When a verifier stalls, all machines of a network are dismissed at once. */
  readonly #queues = new Queues(
    (id) => new RingwallError('conflict', `too many requests wait for ${id}`),
    2 * MACHINES_PER_NETWORK,
  );

  constructor(context: Pick<WardenContext, 'layout' | 'parts' | 'note'>) {
    this.#context = context;
    this.#way = new WayOut(context);
  }

  /** Raises all walls again, for the machines that were admitted and still run. Before any machine starts. */
  async open(): Promise<void> {
    const { layout, parts, note } = this.#context;
    for (const id of (await namesIn(layout.runMachines)).filter(isMachineId)) {
      const admission = await readAdmission(machineLayout(layout, id)).catch((error: unknown) => {
        note(messageOf(error));
        return undefined;
      });
      if (admission !== undefined && (await this.#runs(id, admission))) this.#admitted.set(id, admission);
    }
    const ids = (await namesIn(layout.networks)).map((name) => name.replace(/\.json$/, '')).filter(isNetworkId);
    await Promise.all(ids.map((id) => this.#remember(id)));
    await this.#way.read();
    await Promise.all([...this.#networks].map(([id, tenant]) => this.#reopen(id, tenant)));
    // What a removal that was interrupted has left.
    for (const id of (await namesIn(layout.runNetworks)).filter(isNetworkId)) {
      if (!ids.includes(id)) await parts.networks.close(networkLayout(layout, id).pin);
    }
    await this.#settleWay();
  }

  async apply({ network, definition, machines }: Order<'apply-network'>): Promise<WardenResponse<'apply-network'>> {
    return await this.#queues.run(network, async () => {
      const place = networkLayout(this.#context.layout, network);
      const tenant = this.#networks.get(network) ?? this.#tenantIn(place);
      for (const { machine, admitted } of machines) {
        if (admitted === undefined) await this.#forgetAdmission(machine);
        else if (await this.#runs(machine, { network, boot: admitted }))
          await this.#keepAdmission(machine, network, admitted);
      }
      const described = machines.map(({ machine, name, labels, addresses, mac }) => {
        return { machine, name, labels, addresses, mac };
      });
      const wanted = sameWanted(tenant.wanted, { definition, machines: described });
      this.#protected = await this.#readProtected();
      this.#prepare(network, tenant);
      const settled = await tenant.settle(wanted, this.#admittedTo(network)).catch(async (error: unknown) => {
        // One that never stood is made anew when it is asked for again; until then nobody puts back what is there of it.
        if (!this.#networks.has(network)) tenant.forget();
        // The rules that stand go on standing; whoever is no more admitted does not wait for better ones.
        else if (tenant.wanted !== undefined) await tenant.settle(tenant.wanted, this.#admittedTo(network));
        throw error;
      });
      this.#networks.set(network, tenant);
      await writeNetwork(place, { version: 1, network, definition, machines: described });
      await this.#settleWay();
      return { ...settled, admitted: [...settled.admitted], dismissed: [...settled.dismissed] };
    });
  }

  async remove({ network }: Order<'remove-network'>): Promise<WardenResponse<'remove-network'>> {
    return await this.#queues.run(network, async () => {
      const { layout, parts } = this.#context;
      for (const id of (await namesIn(layout.runMachines)).filter(isMachineId)) {
        const boot = await readBoot(machineLayout(layout, id));
        if (boot?.card?.network !== network) continue;
        throw new RingwallError('conflict', `the machine ${id} runs with a card in this network`, {
          hint: 'stop it first',
        });
      }
      await this.#networks.get(network)?.endTunnels();
      this.#networks.get(network)?.forget();
      this.#networks.delete(network);
      this.#peers.delete(network);
      await this.#settleWay();
      const place = networkLayout(layout, network);
      await rm(place.record, { force: true });
      await rm(place.peers, { recursive: true, force: true });
      await rm(place.mirror, { force: true });
      await parts.networks.close(place.pin);
      return {};
    });
  }

  async list(): Promise<WardenResponse<'list-networks'>> {
    const networks = [...this.#networks].map(async ([network, tenant]) => {
      let { trouble } = tenant;
      const walls = await tenant.wallState().catch((error: unknown) => {
        trouble ??= messageOf(error);
        return 'changed' as const;
      });
      return { network, walls, connected: [...tenant.connected], ...(trouble === undefined ? {} : { trouble }) };
    });
    const ranges = (await this.#readProtected()).map((range) => ({ range: printRange(range), what: range.what }));
    return { networks: await Promise.all(networks), protected: ranges, wayOut: this.#way.status() };
  }

  async setMirror({ network, machines }: Order<'set-mirror'>): Promise<MirrorAnswer> {
    return await this.#queues.run(network, () =>
      setMirrored(this.#context.layout, this.require(network), { machines }),
    );
  }

  async mirrorOf({ network }: Order<'show-mirror'>): Promise<MirrorAnswer> {
    return await mirrorStateOf(this.#context.layout, this.require(network));
  }

  /** What the host's way out has counted of this network; undefined where that leads nowhere now. */
  async countsOut(network: NetworkId): Promise<EdgeCounts | undefined> {
    return await this.#way.counts(network);
  }

  /** As root has it written now. */
  async wayOut(): Promise<WardenResponse<'look-at-way-out'>> {
    await this.look();
    return this.#way.status();
  }

  async exportPeer(order: Order<'export-peer'>): Promise<WardenResponse<'export-peer'>> {
    return await this.#withPeers(order.network, async (peers, known) =>
      peers.export(order, known.network, known.machines, this.#ports()),
    );
  }

  async importPeer({ network, file }: Order<'import-peer'>): Promise<WardenResponse<'import-peer'>> {
    const added = await this.#withPeers(network, async (peers, known, tenant) => {
      const host = await peers.import(file, known.network, known.machines, this.#ports());
      await this.#settlePeers(network, peers, tenant);
      const peer = (await peers.list(await tenant.tunnelStatus(), known.network)).find((each) => each.host === host);
      if (peer === undefined) throw new RingwallError('internal', `${host} was taken and is not there`);
      return peer;
    });
    await this.look();
    return added;
  }

  async listPeers({ network }: Order<'list-peers'>): Promise<WardenResponse<'list-peers'>> {
    return await this.#withPeers(network, async (peers, known, tenant) => ({
      peers: await peers.list(await tenant.tunnelStatus(), known.network),
    }));
  }

  async removePeer({ network, host }: Order<'remove-peer'>): Promise<WardenResponse<'remove-peer'>> {
    await this.#withPeers(network, async (peers, _, tenant) => {
      await peers.remove(host);
      await this.#settlePeers(network, peers, tenant);
    });
    await this.look();
    return {};
  }

  /** Its walls and its cable; the card is the caller's. */
  async admit(machine: MachineId, network: NetworkId, boot: string): Promise<void> {
    await this.#queues.run(network, async () => {
      const tenant = this.#networks.get(network);
      if (tenant?.wanted?.machines.some((other) => other.machine === machine) !== true) {
        throw new RingwallError(
          'not-found',
          `the machine ${machine} is not one of the network ${network} on this host`,
        );
      }
      if (!(await this.#runs(machine, { network, boot }))) {
        throw new RingwallError('conflict', 'this boot of the machine does not run, or has no card in this network');
      }
      await this.#keepAdmission(machine, network, boot);
      await tenant.settle(tenant.wanted, this.#admittedTo(network));
      if (!tenant.connected.includes(machine)) throw new RingwallError('network-failed', tenant.trouble ?? 'no cable');
    });
  }

  /** Waits for no guest, and for nothing else that the machine does. */
  async dismiss(machine: MachineId, network: NetworkId): Promise<void> {
    // Whatever settles next, settles it for all that were dismissed by then. Its cable does not wait for that.
    this.#admitted.delete(machine);
    await this.#networks
      .get(network)
      ?.cut(machine)
      .catch((error: unknown) => this.#context.note(`${machine}: its cable is cut later: ${messageOf(error)}`));
    await this.#queues.run(network, async () => {
      await this.#forgetAdmission(machine);
      const tenant = this.#networks.get(network);
      if (tenant?.wanted !== undefined) await tenant.settle(tenant.wanted, this.#admittedTo(network));
    });
  }

  /** Of a boot that ends. Never rejects: whatever is wrong with a network, its machines can be stopped. */
  async leave(machine: MachineId): Promise<void> {
    const admission = this.#admitted.get(machine);
    if (admission === undefined) return;
    await this.dismiss(machine, admission.network).catch((error: unknown) =>
      this.#context.note(`${machine}: ${messageOf(error)}`),
    );
  }

  isAdmitted(machine: MachineId, boot: string): boolean {
    return this.#admitted.get(machine)?.boot === boot;
  }

  require(network: NetworkId): TenantNetwork {
    const tenant = this.#networks.get(network);
    if (tenant === undefined) throw new RingwallError('not-found', `the network ${network} is not on this host`);
    return tenant;
  }

  /** The file that pins the namespace in which a card's cable shall end. */
  requirePin(network: NetworkId): string {
    const tenant = this.#networks.get(network);
    if (tenant?.stands === true) return tenant.layout.pin;
    throw new RingwallError(
      tenant === undefined ? 'not-found' : 'network-failed',
      `the network ${network} is not on this host${tenant?.trouble === undefined ? '' : `: ${tenant.trouble}`}`,
    );
  }

  /** Notices what somebody has done to namespaces and cables, and where hosts are now. Never rejects. */
  async look(): Promise<void> {
    await this.#way.read();
    if ([...this.#networks.values()].some(({ leadsOut }) => leadsOut)) {
      this.#protected = await this.#readProtected().catch((error: unknown) => {
        this.#context.note(`what no machine may reach is not known anew: ${messageOf(error)}`);
        return this.#protected;
      });
    }
    const looks = [...this.#networks].map(async ([id, tenant]) => {
      if (this.#queues.busy(id)) return;
      const before = tenant.trouble;
      await this.#queues
        .run(id, async () => {
          const admitted = this.#admittedTo(id);
          await this.#peers.get(id)?.lookAt(tenant);
          if (this.#prepare(id, tenant) && tenant.wanted !== undefined) await tenant.settle(tenant.wanted, admitted);
          await endUnallowed(this.#context, tenant);
          await tenant.look(admitted);
        })
        .catch((error: unknown) => {
          if (before !== messageOf(error)) this.#context.note(`${id}: ${messageOf(error)}`);
        });
    });
    await Promise.all(looks);
    await this.#settleWay();
  }

  /** Walls stand on; nobody looks after them until the next warden. */
  async close(): Promise<void> {
    this.#way.forget();
    for (const tenant of this.#networks.values()) tenant.forget();
    await this.#queues.idle();
  }

  /** What an earlier warden was told of it, and its other hosts. */
  async #remember(id: NetworkId): Promise<void> {
    const { layout, note } = this.#context;
    const place = networkLayout(layout, id);
    try {
      const record = await readNetwork(place);
      if (record === undefined) return;
      const wanted = { definition: record.definition, machines: record.machines };
      const tenant = this.#tenantIn(place, wanted);
      this.#networks.set(id, tenant);
      const peers = await this.#openPeers(place, tenant.judged());
      this.#peers.set(id, peers);
      if (!peers.isEmpty) tenant.setPeers(peers);
      tenant.mirror.want(await readMirrored(place));
      await endUnallowed(this.#context, tenant);
    } catch (error) {
      note(`${id}: its walls could not be raised: ${messageOf(error)}`);
    }
  }

  #tenantIn(place: NetworkLayout, recorded?: WantedNetwork): TenantNetwork {
    const { parts, note } = this.#context;
    const due = (): void => void this.#endTimedOut(place.id);
    return new TenantNetwork(place, parts.networks, { note, due }, recorded);
  }

  /** What could not be done is tried again at the next look. */
  async #endTimedOut(id: NetworkId): Promise<void> {
    const ended = this.#queues.run(id, async () => await this.#networks.get(id)?.endTimedOut());
    await ended.catch((error: unknown) => this.#context.note(`${id}: ${messageOf(error)}`));
  }

  async #reopen(id: NetworkId, tenant: TenantNetwork): Promise<void> {
    try {
      this.#protected = await this.#readProtected();
      this.#prepare(id, tenant);
      if (tenant.wanted !== undefined) await tenant.settle(tenant.wanted, this.#admittedTo(id));
    } catch (error) {
      this.#context.note(`${id}: its walls could not be raised: ${messageOf(error)}`);
    }
  }

  /** Where other hosts of any network are, what this host has itself, and what its way out leads past. */
  async #readProtected(): Promise<readonly ProtectedRange[]> {
    const others = [...this.#peers.values()].flatMap(({ endpoints }) => endpoints);
    return [...others, ...(await this.#context.parts.networks.ownRanges()), ...this.#way.protectedRanges];
  }

  /** Tells a network what it has to know of all others; whether that makes other rules. */
  #prepare(id: NetworkId, tenant: TenantNetwork): boolean {
    tenant.resolveBy(this.#way.resolvers);
    return tenant.protect([...this.#protected, ...rangesOf(this.#networks, id)]);
  }

  /** Those whose rules stand get out as far as root lets them. */
  async #settleWay(): Promise<void> {
    await this.#way.settle(waysOut(this.#networks), [...this.#protected, ...rangesOf(this.#networks)]);
  }

  async #withPeers<T>(
    network: NetworkId,
    work: (peers: NetworkPeers, known: Known, tenant: TenantNetwork) => Promise<T>,
  ): Promise<T> {
    return await this.#queues.run(network, async () => {
      const tenant = this.#networks.get(network);
      const known = tenant?.judged();
      if (tenant === undefined || known === undefined) {
        throw new RingwallError('not-found', `the network ${network} is not on this host`);
      }
      if (known.network.mode !== 'routed') {
        throw new RingwallError('conflict', `only a routed network can span hosts: this one is ${known.network.mode}`);
      }
      const peers =
        this.#peers.get(network) ?? (await this.#openPeers(networkLayout(this.#context.layout, network), known));
      this.#peers.set(network, peers);
      return await work(peers, known, tenant).catch((error: unknown) => {
        throw asPolicyTrouble(error);
      });
    });
  }

  async #settlePeers(network: NetworkId, peers: NetworkPeers, tenant: TenantNetwork): Promise<void> {
    tenant.setPeers(peers);
    if (tenant.wanted !== undefined) await tenant.settle(tenant.wanted, this.#admittedTo(network));
    if (tenant.tunnelTrouble !== undefined) throw new RingwallError('network-failed', tenant.tunnelTrouble);
  }

  #openPeers(place: NetworkLayout, known: Known | undefined): Promise<NetworkPeers> {
    return NetworkPeers.open(place, this.#context.parts.peers, known?.network, this.#context.note);
  }

  /** On which this host listens for tunnels of any network. */
  #ports(): ReadonlySet<number> {
    return new Set([...this.#peers.values()].flatMap(({ ports }) => ports));
  }

  #admittedTo(network: NetworkId): ReadonlySet<MachineId> {
    return new Set([...this.#admitted].flatMap(([id, admission]) => (admission.network === network ? [id] : [])));
  }

  async #runs(
    id: MachineId,
    { network, boot }: { readonly network: NetworkId; readonly boot: string },
  ): Promise<boolean> {
    const record = await readBoot(machineLayout(this.#context.layout, id));
    return record?.card?.network === network && record.boot === boot && isRunningBoot(record) && this.#lives(record);
  }

  #lives({ hostBoot, vmm }: RunningBoot): boolean {
    const { host } = this.#context.parts;
    return hostBoot === host.bootId && host.isAlive(vmm);
  }

  async #keepAdmission(machine: MachineId, network: NetworkId, boot: string): Promise<void> {
    const known = this.#admitted.get(machine);
    if (known?.boot === boot && known.network === network) return;
    await writeAdmission(machineLayout(this.#context.layout, machine), { version: 1, machine, network, boot });
    this.#admitted.set(machine, { network, boot });
  }

  async #forgetAdmission(machine: MachineId): Promise<void> {
    this.#admitted.delete(machine);
    await rm(machineLayout(this.#context.layout, machine).admission, { force: true });
  }
}

type Known = NonNullable<ReturnType<TenantNetwork['judged']>>;
