// Nothing is granted without evidence: opens a machine's network once its boot has proven itself, and closes it as soon as anything
// is said against it. What is said is pushed here; between two words the gate looks itself, for trust also ends by growing old.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine, MachineId, NetworkId } from '@ringwall/api';
import type { WardenClient } from '../machines/clients.ts';
import type { Store } from '../store/index.ts';

/**
 * `unheard`: this life of the daemon has not heard of its watch yet. The network stays as it is, for as long as a verifier takes that
 * is being restarted too.
 */
export type NetworkTrust = 'trusted' | 'unheard' | { readonly against: string };

/** A broker is back within seconds; who does not answer for longer does not watch. */
const UNHEARD_MS = 30_000;
/** Pulling a card out of a guest that hangs is given up by then: its cable was cut before. */
const CALL_TIMEOUT_MS = 20_000;

export interface GateOptions {
  readonly store: Store;
  readonly warden: WardenClient;
  readonly note: (line: string) => void;
  readonly trustOf: (machine: Machine) => NetworkTrust;
  /** The network is to be applied again: what was asked for was not done, or what is on its way may say otherwise. */
  readonly again: (network: NetworkId) => void;
  /** The same, where something is on its way now. */
  readonly againIfBusy: (network: NetworkId) => void;
  /** Between two looks at all machines that have cards. */
  readonly lookMs: number;
}

interface Standing {
  /** The boot that is let in; undefined where none is. */
  boot: string | undefined;
  /** What is asked of the warden, one after the other. */
  last: Promise<void>;
}

export class Gate {
  readonly #use: GateOptions;
  readonly #standings: Map<MachineId, Standing> = new Map();
  readonly #unheardSince: Map<MachineId, number> = new Map();
  readonly #stop = new AbortController();
  #looking: Promise<void> | undefined;

  constructor(options: GateOptions) {
    this.#use = options;
  }

  /** Begins with what the last life of the daemon had let in. */
  async begin(): Promise<void> {
    for (const { machine, admitted } of await this.#use.store.networks.cards()) {
      if (!this.#standings.has(machine)) this.#standings.set(machine, { boot: admitted, last: Promise.resolve() });
    }
    this.#looking = this.#look();
  }

  /** Something of this machine is another than it was. Never throws; what follows is under way when it returns. */
  consider(machine: Machine): void {
    const { id, spec, status } = machine;
    const { network } = spec;
    if (network === undefined) return;
    const judged = this.#judge(machine);
    if (judged === 'leave') return;
    const standing = this.#standings.get(id) ?? { boot: undefined, last: Promise.resolve() };
    this.#standings.set(id, standing);
    const boot = judged === 'open' ? status.bootId : undefined;
    if (standing.boot === boot) return;
    const former = standing.boot;
    standing.boot = boot;
    const wanted = { machine, network, standing, boot };
    // Whoever is trusted no more loses the network now, whatever else is being asked about it.
    const done =
      boot === undefined
        ? this.#dismiss(wanted, judged === 'open' ? 'it has no boot' : judged.against)
        : standing.last.then(() => this.#admit(wanted));
    standing.last = this.#after(standing.last, done);
    if (former !== undefined && boot !== undefined) this.#use.again(network);
  }

  /** Of a machine that is gone. */
  forget(machine: MachineId): void {
    this.#standings.delete(machine);
    this.#unheardSince.delete(machine);
  }

  /** Resolves once all that was asked of the warden is answered. */
  async idle(): Promise<void> {
    await Promise.all([...this.#standings.values()].map(({ last }) => last));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#looking;
    await this.idle();
  }

  #judge(machine: Machine): 'open' | 'leave' | { readonly against: string } {
    const trust = this.#use.trustOf(machine);
    if (trust !== 'unheard') {
      this.#unheardSince.delete(machine.id);
      return trust === 'trusted' ? 'open' : trust;
    }
    const now = performance.now();
    const since = this.#unheardSince.get(machine.id) ?? now;
    this.#unheardSince.set(machine.id, since);
    return now - since < UNHEARD_MS ? 'leave' : { against: 'nobody says how its watch stands' };
  }

  async #after(...work: readonly Promise<void>[]): Promise<void> {
    await Promise.all(work);
  }

  async #admit({ machine, network, standing, boot }: Wanted): Promise<void> {
    if (standing.boot !== boot || boot === undefined) return;
    const { store, warden, again, againIfBusy } = this.#use;
    const { id, name } = machine;
    try {
      await store.networks.setAdmitted(id, boot);
      await warden.call({ op: 'admit-machine', network, machine: id, boot }, { timeoutMs: CALL_TIMEOUT_MS });
      againIfBusy(network);
      const message = `${name} has proven itself: its network is open`;
      await store.appendEvent({ kind: 'machine.network.opened', machine: id, message });
    } catch (error) {
      this.#tell(machine, 'is not let into its network yet', error);
      again(network);
    }
    // Somebody has said something against it meanwhile, and the warden may have heard that first.
    if (standing.boot === undefined) await this.#ask(machine, network);
  }

  async #dismiss({ machine, network, standing }: Wanted, why: string): Promise<void> {
    const { store, again } = this.#use;
    const { id, name } = machine;
    const asked = this.#ask(machine, network);
    const message = `${name} lost its network: ${why}`;
    try {
      await Promise.all([asked, store.networks.setAdmitted(id, undefined)]);
      await store.appendEvent({ kind: 'machine.network.closed', machine: id, message });
    } catch (error) {
      this.#tell(machine, 'could not be written down as dismissed', error);
    }
    // The whole must not let it in again: what was on its way may have been put together before.
    if (standing.boot === undefined) again(network);
  }

  async #ask(machine: Machine, network: NetworkId): Promise<void> {
    try {
      const timeoutMs = CALL_TIMEOUT_MS;
      await this.#use.warden.call({ op: 'dismiss-machine', network, machine: machine.id }, { timeoutMs });
    } catch (error) {
      this.#tell(machine, 'is not off its network yet', error);
    }
  }

  #tell({ id, name }: Machine, what: string, error: unknown): void {
    this.#use.note(`${id}: ${name} ${what}: ${error instanceof Error ? error.message : String(error)}`);
  }

  async #look(): Promise<void> {
    const { signal } = this.#stop;
    const { store, note, lookMs } = this.#use;
    while (!signal.aborted) {
      await sleep(lookMs, undefined, { signal }).catch(() => {});
      if (signal.aborted || this.#standings.size === 0) continue;
      try {
        for (const machine of await store.listMachines()) this.consider(machine);
      } catch (error) {
        note(`networks: the machines cannot be looked at: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
}

interface Wanted {
  readonly machine: Machine;
  readonly network: NetworkId;
  readonly standing: Standing;
  readonly boot: string | undefined;
}
