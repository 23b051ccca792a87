// A warden with one network, and machines that run with a card in it, on a host of the mind: what the tests of networks share.
import { newBootId, newMachineId, newNetworkId, type MachineId, type NetworkId } from '@ringwall/api';
import type { WardenResponse } from '@ringwall/api/warden';
import { tapName } from '@ringwall/host/network';
import { networkLayout } from '../layout.ts';
import type { Warden } from '../warden.ts';
import type { FakeNetwork } from './fake-networks.ts';
import { ask, BROKER_KEY, buildHello, create, Scene, SPEC } from './scene.ts';

export const MAC = '02:00:5e:00:00:01';

export interface Running {
  readonly machine: MachineId;
  readonly boot: string;
}

/** As apply-network is told of it. */
export interface Member {
  readonly machine: MachineId;
  readonly name: string;
  readonly labels: Record<string, string>;
  readonly addresses: string[];
  readonly mac: string;
  readonly admitted?: string;
}

export class NetworkScene extends Scene {
  readonly network: NetworkId = newNetworkId();
  #warden: Warden | undefined;

  static async open(): Promise<NetworkScene> {
    const scene = new NetworkScene();
    await scene.reopen();
    await buildHello(scene.warden);
    return scene;
  }

  get warden(): Warden {
    if (this.#warden === undefined) throw new Error('no warden was opened');
    return this.#warden;
  }

  /** The next warden on the same host. */
  async reopen(): Promise<void> {
    this.#warden = await this.openWarden();
  }

  apply(
    machines: readonly Member[],
    policy: Record<string, unknown> = definition(),
  ): Promise<WardenResponse<'apply-network'>> {
    return ask<'apply-network'>(this.warden, {
      op: 'apply-network',
      network: this.network,
      definition: policy,
      machines: [...machines],
    });
  }

  admit({ machine, boot }: Running): Promise<WardenResponse<'admit-machine'>> {
    return ask<'admit-machine'>(this.warden, { op: 'admit-machine', network: this.network, machine, boot });
  }

  dismiss(machine: MachineId): Promise<WardenResponse<'dismiss-machine'>> {
    return ask<'dismiss-machine'>(this.warden, { op: 'dismiss-machine', network: this.network, machine });
  }

  async networks(): Promise<WardenResponse<'list-networks'>['networks']> {
    return (await ask<'list-networks'>(this.warden, { op: 'list-networks' })).networks;
  }

  /** Undefined where it does not stand. */
  get standing(): FakeNetwork | undefined {
    return this.host.networks.standing.get(networkLayout(this.host.layout, this.network).pin);
  }

  /** Whether a machine has both, its cable and its place in the rules. Throws where it has one of them. */
  isOn(machine: MachineId): boolean {
    const tap = tapName(machine);
    const [ruled, connected] = [
      this.standing?.ruled.includes(tap) === true,
      this.standing?.connected.has(tap) === true,
    ];
    if (ruled !== connected) throw new Error(`${machine} has ${ruled ? 'rules and no cable' : 'a cable and no rules'}`);
    return ruled;
  }

  /** A machine of the network, and its boot. */
  async running(policy: Record<string, unknown> = definition(), index = 1): Promise<Running> {
    const machine = newMachineId();
    const boot = newBootId();
    await create(this.warden, machine, { ...SPEC, network: this.network });
    await this.apply([member(machine, index)], policy);
    await this.start(machine, boot);
    return { machine, boot };
  }

  /** With its card in the network. */
  async start(machine: MachineId, boot: string = newBootId()): Promise<void> {
    const card = { network: this.network, mac: MAC };
    await ask<'start-machine'>(this.warden, { op: 'start-machine', machine, boot, brokerKey: BROKER_KEY, card });
  }

  /** One that runs, and may take part. */
  async admitted(): Promise<Running> {
    const running = await this.running();
    await this.admit(running);
    return running;
  }
}

export function definition(services: readonly string[] = ['tcp/80']): {
  readonly name: string;
  readonly addresses: string[];
  readonly rules: Record<string, unknown>[];
} {
  return {
    name: 'app',
    addresses: ['10.20.0.0/24'],
    rules: [{ name: 'all', action: 'allow', from: { labels: {} }, to: { labels: {} }, services: [...services] }],
  };
}

export function member(machine: MachineId, index = 1, admitted?: string): Member {
  return {
    machine,
    name: `m${index}`,
    labels: {},
    addresses: [`10.20.0.${index}`],
    mac: MAC,
    ...(admitted === undefined ? {} : { admitted }),
  };
}
