// Networks as the API asks for them, and as machines have them. A change is judged whole, written down, and brought to the host; one
// that the host refuses is taken back, and what was in force stays.
import { type Machine, type NetworkId, RingwallError } from '@ringwall/api';
import type {
  ChangedNetwork,
  Consequences,
  CreateNetwork,
  HostWayOut,
  LabelMachine,
  Network,
  NetworkDefinition,
  NetworkDetail,
  PolicyPlan,
  Reach,
  ReachQuery,
  ShownMap,
  ShownNetwork,
} from '@ringwall/api/networks';
import type { WardenRequest } from '@ringwall/api/warden';
import type { Network as Definition } from '@ringwall/netpolicy';
import type { WardenClient } from '../machines/clients.ts';
import { checkMachineReference } from '../machines/names.ts';
import type { NetworkChange, NewCard, NewEvent, Store } from '../store/index.ts';
import { allotAddresses, defaultRanges, type OwnedRange, refuseOverlaps } from './addresses.ts';
import { Applier } from './applier.ts';
import { consequencesOf, sayRule } from './consequences.ts';
import { Gate, type NetworkTrust } from './gate.ts';
import { judgeDefinition, judgeLabels, judgePolicy, nearest, TENANT } from './judge.ts';
import { isAdmitted, macOf, membersOf } from './members.ts';
import { newNetwork, type Planned, planPolicy, type StandingNetwork } from './policy-plan.ts';
import { askReach } from './ask-reach.ts';
import { askPeers, refuseNameOf } from './far.ts';
import { findNetwork, loadModel, nowSeconds } from './model.ts';
import { showMap } from './show-map.ts';
import { type Seen, Standing, wayOutOf } from './standing.ts';

/** What somebody at a terminal waits for; what takes longer goes on, and shows as pending. */
const SETTLE_MS = 10_000;
/** As netpolicy has it: a machine's name is a name of its rules. */
const LONGEST_NAME = 48;

export interface NetworksOptions {
  readonly store: Store;
  readonly warden: WardenClient;
  readonly note: (line: string) => void;
  /** What is to be thought of a machine now. */
  readonly trustOf: (machine: Machine) => NetworkTrust;
  /** What the host reaches by its own routes. */
  readonly hostRanges: () => Promise<readonly OwnedRange[]>;
  readonly timing: {
    /** Before what the warden did not do is asked again. */
    readonly networkRetryMs: number;
    /** Between two looks at the trust of all machines with cards. */
    readonly networkLookMs: number;
    readonly patienceMs: number;
  };
}

/** What a machine that is being made gets of a network. */
export interface PlannedCard {
  readonly network: NetworkId;
  readonly labels: Readonly<Record<string, string>>;
  readonly card: NewCard;
}

export class Networks {
  readonly #use: NetworksOptions;
  readonly #applier: Applier;
  readonly #gate: Gate;
  readonly #standing: Standing;
  readonly #watch: Disposable;
  /** One decision at a time: what is judged still holds when it is written. */
  #deciding: Promise<unknown> = Promise.resolve();

  constructor(options: NetworksOptions) {
    const { store, warden, note, trustOf, timing } = options;
    this.#use = options;
    this.#standing = new Standing(options);
    this.#applier = new Applier({ store, warden, note, retryMs: timing.networkRetryMs });
    const again = (network: NetworkId): void => this.#applier.want(network);
    const againIfBusy = (network: NetworkId): void => this.#applier.wantIfBusy(network);
    this.#gate = new Gate({ store, warden, note, trustOf, again, againIfBusy, lookMs: timing.networkLookMs });
    this.#watch = store.watchMachines((machine) => this.consider(machine));
  }

  /** Brings all that is wanted to the warden, once, whatever it has already. */
  async begin(): Promise<void> {
    const { store, warden, note } = this.#use;
    await this.#gate.begin();
    await this.#standing.see();
    const known = await store.networks.list();
    for (const { id } of known) this.#applier.want(id);
    // Networks whose removal another life of the daemon did not see done. The warden keeps those that a machine is in.
    const { networks } = await warden.call({ op: 'list-networks' }).catch(() => ({ networks: [] }));
    for (const { network } of networks) {
      if (known.some(({ id }) => id === network)) continue;
      note(`${network} is no network of this daemon, and is removed`);
      this.#applier.want(network);
    }
  }

  async close(): Promise<void> {
    this.#watch[Symbol.dispose]();
    await Promise.all([this.#applier.close(), this.#gate.close()]);
  }

  // What machines need.

  /** For a machine that is being made. Throws what its maker can do something about. */
  async planCard(network: string, labels: unknown, machine: string): Promise<PlannedCard> {
    const found = await findNetwork(this.#use.store, network);
    if (machine.length > LONGEST_NAME) {
      throw new RingwallError('spec-invalid', `${machine} is too long a name for a machine with a network`, {
        hint: `at most ${LONGEST_NAME} characters: --name`,
      });
    }
    const definition = judgeDefinition(found.spec.definition);
    const { name, addresses } = definition;
    const judged = judgeLabels(labels, definition);
    const others = await askPeers(this.#use.warden, found.id);
    refuseNameOf(others, machine);
    const far = others.flatMap(({ machines }) => machines.flatMap((each) => each.addresses));
    const choose: NewCard['choose'] = ({ used, freed }) =>
      allotAddresses(name, addresses, { used: new Set([...used, ...far]), freed }, others, Date.now());
    return { network: found.id, labels: judged, card: { network: found.id, choose } };
  }

  /** A machine has come, or is gone. */
  changed({ id, spec }: Machine, what: 'come' | 'gone'): void {
    if (what === 'gone') this.#gate.forget(id);
    if (spec.network !== undefined) this.#applier.want(spec.network);
  }

  /** Something is said of a machine's trust, or may have to be. */
  consider(machine: Machine): void {
    this.#gate.consider(machine);
  }

  /** The card for a start: once its network stands, for its cable ends there. */
  async cardFor({ id, spec }: Machine, signal: AbortSignal): Promise<Pick<StartRequest, 'card'>> {
    const { network } = spec;
    if (network === undefined) return {};
    if (!(await this.#applier.settled(network, this.#use.timing.patienceMs, signal))) {
      throw new RingwallError('warden-unavailable', 'its network does not stand yet: the warden does not answer');
    }
    return { card: { network, mac: macOf(id) } };
  }

  async placeOf(
    machine: Machine,
  ): Promise<{ name: string; addresses: string[]; mac: string; admitted: boolean } | undefined> {
    const { networks } = this.#use.store;
    const card = await networks.findCard(machine.id);
    if (card === undefined) return undefined;
    const network = await networks.find(card.network);
    const admitted = isAdmitted({ machine, card });
    return { name: network?.name ?? card.network, addresses: [...card.addresses], mac: macOf(machine.id), admitted };
  }

  // What the API asks for.

  async list(): Promise<ShownNetwork[]> {
    const { networks } = this.#use.store;
    const cards = Map.groupBy(await networks.cards(), ({ network }) => network);
    const seen = await this.#standing.see();
    return (await networks.list()).map((network) => this.#shown(network, cards.get(network.id)?.length ?? 0, seen));
  }

  /** How this host lets networks out, as root has it written now. */
  async wayOut(): Promise<HostWayOut> {
    return await this.#standing.wayOut();
  }

  async detail(idOrName: string): Promise<NetworkDetail> {
    const network = await findNetwork(this.#use.store, idOrName);
    const members = await membersOf(this.#use.store, network.id);
    const shown = this.#shown(network, members.length, await this.#standing.see());
    return {
      network: shown,
      machines: members.map((member) => {
        const { machine, card } = member;
        const { id, name, spec, status } = machine;
        const { phase, trust } = status;
        const place = { machine: id, name, labels: spec.labels ?? {}, addresses: [...card.addresses], mac: macOf(id) };
        return { ...place, phase, trust, admitted: isAdmitted(member) };
      }),
    };
  }

  create({ name, addresses, internet = 'none', mode = 'routed' }: CreateNetwork): Promise<ShownNetwork> {
    return this.#decide(async () => {
      const owned = await this.#owned();
      const ranges = addresses ?? defaultRanges(owned, (bytes) => crypto.getRandomValues(bytes));
      const kept = mode === 'routed' ? {} : { mode };
      const definition = { name, addresses: ranges, ...kept, internet, rules: [] };
      const judged = judgeDefinition(definition);
      refuseOverlaps(name, judged.addresses, owned);
      const network = newNetwork(definition, name, new Date());
      const message = `${name} was made: ${ranges.join(', ')}${internet === 'nat' ? ', with a way out' : ''}`;
      await this.#put({ insert: [network] }, { kind: 'network.created', message });
      return this.#shown(network, 0, await this.#standing.see());
    });
  }

  remove(idOrName: string): Promise<void> {
    return this.#decide(async () => {
      const network = await findNetwork(this.#use.store, idOrName);
      await this.#put({ remove: [network] }, { kind: 'network.removed', message: `${network.name} was removed` });
    });
  }

  addRule(idOrName: string, rule: Record<string, unknown>): Promise<ChangedNetwork> {
    return this.#changeRules(
      idOrName,
      (rules) => [...rules, rule],
      (after) => sayRule(after, rule['name']),
    );
  }

  removeRule(idOrName: string, rule: string): Promise<ChangedNetwork> {
    const without = (rules: readonly unknown[], { name }: Definition): unknown[] => {
      const left = rules.filter((each) => Object(each).name !== rule);
      if (left.length < rules.length) return left;
      const near = nearest(
        rule,
        rules.map((each) => String(Object(each).name)),
      );
      throw new RingwallError('not-found', `${name} has no rule ${JSON.stringify(rule)}`, {
        hint:
          near === undefined ? `see which there are: ringwall net rules --network ${name}` : `did you mean ${near}?`,
      });
    };
    return this.#changeRules(idOrName, without, () => `the rule ${rule} was taken back`);
  }

  label(idOrName: string, { set = {}, remove = [] }: LabelMachine): Promise<Machine> {
    return this.#decide(async () => {
      const { store } = this.#use;
      const machine = await store.findMachine(idOrName);
      if (machine?.spec.network === undefined) {
        if (machine !== undefined) throw withoutNetwork(machine);
        checkMachineReference(idOrName);
        throw new RingwallError('not-found', `there is no machine ${idOrName}`, {
          hint: 'see which there are: ringwall ls',
        });
      }
      const network = await findNetwork(this.#use.store, machine.spec.network);
      const kept = Object.entries(machine.spec.labels ?? {}).filter(([key]) => !remove.includes(key));
      const labels = judgeLabels({ ...Object.fromEntries(kept), ...set }, judgeDefinition(network.spec.definition));
      const spec = { ...machine.spec, labels: { ...labels } };
      const event = { kind: 'machine.labelled', machine: machine.id, message: `${machine.name} is ${printed(labels)}` };
      const labelled = await store.updateMachine(machine.id, machine.version, { spec }, event);
      this.#applier.want(network.id);
      await this.#applier.settled(network.id, SETTLE_MS);
      return labelled;
    });
  }

  async map(idOrName: string): Promise<ShownMap> {
    const found = await findNetwork(this.#use.store, idOrName);
    return showMap(await loadModel(this.#use, found), nowSeconds());
  }

  reach(query: ReachQuery): Promise<Reach> {
    return askReach(this.#use, query);
  }

  async exportPolicy(): Promise<Record<string, unknown>> {
    const networks = await this.#use.store.networks.list();
    return { version: 1, tenant: TENANT, networks: networks.map(({ spec }) => spec.definition) };
  }

  async planPolicy(policy: unknown): Promise<PolicyPlan> {
    const { change: _, ...plan } = await this.#plan(policy);
    return plan;
  }

  applyPolicy(policy: unknown, anyway: boolean): Promise<PolicyPlan> {
    return this.#decide(async () => {
      const { networks, troubles, change } = await this.#plan(policy);
      const idle = networks.flatMap(({ findings }) => findings.filter((finding) => finding.idle));
      const [trouble = anyway ? undefined : idle[0]?.message] = troubles;
      if (trouble !== undefined) {
        throw new RingwallError('policy-invalid', trouble, {
          hint:
            troubles.length === 0
              ? 'a rule that can never decide is mostly a slip; with --anyway it is kept'
              : 'see all of it: ringwall net plan FILE',
        });
      }
      const count = (does: string): number => networks.filter((each) => each.does === does).length;
      const message = `a policy was applied: ${count('make')} made, ${count('change')} changed, ${count('remove')} removed`;
      if (count('keep') < networks.length) await this.#put(change, { kind: 'network.policy-applied', message });
      return { networks, troubles };
    });
  }

  #changeRules(
    idOrName: string,
    change: (rules: readonly unknown[], network: Definition) => unknown[],
    said: (after: Definition) => string,
  ): Promise<ChangedNetwork> {
    return this.#decide(async () => {
      const model = await loadModel(this.#use, await findNetwork(this.#use.store, idOrName));
      const { network, definition: before, machines } = model;
      const rules = Array.isArray(network.spec.definition['rules']) ? network.spec.definition['rules'] : [];
      const definition: NetworkDefinition = { ...network.spec.definition, rules: change(rules, before) };
      const after = judgeDefinition(definition);
      const consequences: Consequences = consequencesOf(before, after, machines, nowSeconds());
      const changed = { ...network, spec: { definition } };
      await this.#put({ update: [changed] }, { kind: 'network.changed', message: `${network.name}: ${said(after)}` });
      const shown = this.#shown({ ...changed, version: network.version + 1 }, machines.length, undefined);
      return { network: shown, ...consequences };
    });
  }

  /** Written down first, so that nothing is lost; taken back where the host refuses it. */
  async #put(change: NetworkChange, event: NewEvent): Promise<void> {
    const { networks } = this.#use.store;
    const before = new Map((await networks.list()).map((network) => [network.id, network]));
    await networks.change(change, event);
    const { insert = [], update = [], remove = [] } = change;
    const touched = [...insert, ...update, ...remove].map(({ id }) => id);
    for (const id of touched) this.#applier.want(id);
    const outcomes = await Promise.allSettled(touched.map((id) => this.#applier.settled(id, SETTLE_MS)));
    const refused = outcomes.find((outcome) => outcome.status === 'rejected');
    if (refused === undefined) return;
    const was = (list: readonly Network[], step: number): Network[] =>
      list.flatMap(({ id }) => {
        const network = before.get(id);
        return network === undefined ? [] : [{ ...network, version: network.version + step }];
      });
    const why = refused.reason instanceof Error ? refused.reason.message : String(refused.reason);
    await networks.change(
      { insert: was(remove, 0), update: was(update, 1), remove: insert },
      { kind: 'network.reverted', message: `the host refused it, and what was stays: ${why}` },
    );
    for (const id of touched) this.#applier.want(id);
    throw refused.reason;
  }

  async #plan(policy: unknown): Promise<Planned> {
    const { store, warden, hostRanges } = this.#use;
    const judged = judgePolicy(policy);
    const json: unknown = Object(policy).networks;
    const definitions = (Array.isArray(json) ? json : []).map((each): NetworkDefinition => ({ ...Object(each) }));
    const standing: StandingNetwork[] = [];
    for (const network of await store.networks.list()) {
      const [members, hosts] = await Promise.all([membersOf(store, network.id), askPeers(warden, network.id)]);
      standing.push({ network, members, hosts });
    }
    return planPolicy(judged, definitions, { standing, hostRanges: await hostRanges(), now: new Date() });
  }

  async #owned(): Promise<OwnedRange[]> {
    const { store, hostRanges } = this.#use;
    const networks = (await store.networks.list()).flatMap(({ name, spec }) =>
      judgeDefinition(spec.definition).addresses.map((range) => ({ range, owner: `the network ${name}’s` })),
    );
    return [...networks, ...(await hostRanges())];
  }

  #shown(network: Network, machines: number, seen: Seen | undefined): ShownNetwork {
    const { pending, trouble = seen?.troubles.get(network.id) } = this.#applier.stateOf(network.id);
    const state = pending || trouble !== undefined ? 'pending' : 'in-force';
    const way = wayOutOf(network, seen);
    return { ...network, status: { state, machines, ...(trouble === undefined ? {} : { trouble }), ...way } };
  }

  #decide<T>(decision: () => Promise<T>): Promise<T> {
    const result = this.#deciding.then(decision);
    this.#deciding = result.catch(() => {});
    return result;
  }
}

type StartRequest = Extract<WardenRequest, { op: 'start-machine' }>;

function withoutNetwork({ name }: Machine): RingwallError {
  return new RingwallError('conflict', `${name} has no network: no rule could mean it`, {
    hint: 'a machine gets its network when it is made: ringwall run IMAGE --network NETWORK --label role=web',
  });
}

function printed(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? 'without labels' : pairs.join(', ');
}
