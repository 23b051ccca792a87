// Networks of the mind for the warden's unit tests: what stands in each namespace, by the file that pins it.
import type { BrokenCable } from '@ringwall/host/network';
import type { CompiledNetwork, Share } from '@ringwall/netpolicy';
import type { NetworkPart, NetworkSite } from '../parts.ts';

export class FakeNetwork {
  /** Machines that the rules in force know, by name. */
  ruled: readonly string[] = [];
  /** Machines whose cable is connected. */
  readonly connected = new Set<string>();
  /** What each of them may take. */
  readonly shares = new Map<string, Share>();
  /** Machines whose ports the segment keeps apart. */
  isolated: readonly string[] = [];
  readonly gone = new Set<string>();
  state: 'standing' | 'changed' = 'standing';
}

export class FakeNetworks implements NetworkPart {
  readonly standing = new Map<string, FakeNetwork>();
  readonly #effect: (name: string) => Promise<void>;

  constructor(effect: (name: string) => Promise<void>) {
    this.#effect = effect;
  }

  async isThere(pin: string): Promise<boolean> {
    return this.standing.has(pin);
  }

  async open(pin: string): Promise<NetworkSite> {
    await this.#effect('networks.open');
    const network = this.standing.get(pin) ?? new FakeNetwork();
    this.standing.set(pin, network);
    return this.#site(network);
  }

  async close(pin: string): Promise<void> {
    await this.#effect('networks.close');
    this.standing.delete(pin);
  }

  #site(network: FakeNetwork): NetworkSite {
    const load = async (compiled: CompiledNetwork): Promise<void> => {
      await this.#effect('networks.load');
      network.ruled = sendersOf(compiled);
    };
    return {
      walls: {
        raise: load,
        change: load,
        admit: async () => false,
        dismiss: async () => false,
        inspect: async () => network.state,
        lookAfter: async () => undefined,
      },
      connect: async (sharers) => {
        await this.#effect('networks.connect');
        for (const { machine, share } of sharers) {
          network.connected.add(machine.interface);
          network.shares.set(machine.interface, share);
        }
      },
      keepApart: async (_, isolated) => {
        network.isolated = isolated.map(({ name }) => name);
      },
      cut: async (machines) => {
        if (machines.length > 0) await this.#effect('networks.cut');
        for (const { interface: device } of machines) network.connected.delete(device);
      },
      broken: async (machines) =>
        machines.flatMap((machine): BrokenCable[] => {
          if (network.gone.has(machine.interface)) return [{ machine, how: 'gone' }];
          return network.connected.has(machine.interface) ? [] : [{ machine, how: 'changed' }];
        }),
    };
  }
}

/** The interfaces that the compiled guard lets send. */
function sendersOf({ ruleset }: CompiledNetwork): string[] {
  const sets = ruleset.tables.flatMap(({ sets: own }) => own).filter(({ name }) => /^senders[46]?$/.test(name));
  const devices = sets.flatMap(({ elements }) => elements.map(({ key: [device] }) => device));
  return [...new Set(devices)].filter((device) => typeof device === 'string').toSorted();
}
