// The walls of a network whose machines are on an Open vSwitch: its compiled rules in force there as flows, changed in whole steps,
// read back, and put back with the switch itself where that has ended.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  atGateway,
  changeMachine,
  mergeCounts,
  renderOpenFlow,
  type Machine,
  type NetworkCounts,
  type OpenFlowRules,
  type SwitchedNetwork,
} from '@ringwall/netpolicy';
import type { NamespaceRun } from '../namespace.ts';
import { Walls, type WallState } from '../walls.ts';
import type { Switch } from './switch.ts';

export class SwitchWalls {
  readonly #switch: Switch;
  /** Of the gateways, which keep the kernel out of all else. */
  readonly #gateways: Walls;
  #compiled: SwitchedNetwork | undefined;
  #rules: OpenFlowRules | undefined;
  /** One change at a time, and none while they are looked at. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(inside: NamespaceRun, own: Switch) {
    this.#switch = own;
    this.#gateways = new Walls(inside);
  }

  get timesPutBack(): number {
    return this.#gateways.timesPutBack;
  }

  /** Puts the walls up where none are known to stand: whatever flows there are, these are in their place. */
  raise(compiled: SwitchedNetwork): Promise<void> {
    return this.#alone(async () => {
      await this.#gateways.raise(compiled.gateways);
      await this.#switch.open();
      this.#switch.forgetTold();
      await this.#apply(compiled);
    });
  }

  /** Other rules: by what differs from those that stand. */
  change(compiled: SwitchedNetwork): Promise<void> {
    return this.#alone(async () => {
      await this.#switch.open();
      await this.#apply(compiled);
      await this.#gateways.change(compiled.gateways);
    });
  }

  /** A machine more, by its flows; false where it is of a kind that the rules do not know: compile them anew. */
  admit(machine: Machine): Promise<boolean> {
    return this.#move('add', machine);
  }

  /** A machine less. It is to be cut off as well: connections that stand are not asked for again. */
  dismiss(machine: Machine): Promise<boolean> {
    return this.#move('delete', machine);
  }

  inspect(): Promise<WallState> {
    return this.#alone(async () => ((await this.#isWhole()) ? 'standing' : 'changed'));
  }

  /** What they have counted. */
  counts(): Promise<NetworkCounts> {
    return this.#alone(async () => {
      const { refused, refusedFrom: byPort, decided } = await this.#switch.counts();
      const names = this.#compiled?.decisions;
      const decisions = [...decided].flatMap(([id, connections]) => {
        const rules = names?.get(id);
        return rules === undefined ? [] : [{ rules, connections }];
      });
      const devices = this.#switch.devices();
      const refusedFrom = new Map(
        [...byPort].flatMap(([port, counts]) => {
          const device = devices.get(port);
          return device === undefined ? [] : [[device, counts] as const];
        }),
      );
      const atSwitch: NetworkCounts = { refused, refusedFrom, decisions };
      return mergeCounts(atSwitch, await this.#gateways.counts());
    });
  }

  /**
   * Looks after switch and flows until it is told to stop: what has ended is started again, what somebody has changed is put back, and
   * both are said. Rules with times change when it is time.
   */
  async lookAfter(say: (what: string) => void, everyMs: number, signal: AbortSignal): Promise<void> {
    using _ = this.#gateways.hold();
    let trouble = '';
    while (!signal.aborted) {
      await this.#alone(() => this.#look(say)).then(
        () => (trouble = ''),
        (error: unknown) => {
          if (trouble !== String(error)) say(`the switch of the network could not be looked after: ${String(error)}`);
          trouble = String(error);
        },
      );
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(say: (what: string) => void): Promise<void> {
    const compiled = this.#compiled;
    if (compiled === undefined) return;
    if (!this.#switch.daemons.running) {
      await this.#switch.open();
      await this.#apply(compiled);
      say('the switch of the network was gone; it is started again');
    } else if (!(await this.#isWhole())) {
      await this.#gateways.raise(compiled.gateways);
      await this.#switch.open();
      this.#switch.forgetTold();
      await this.#apply(compiled);
      say(`the rules of the network were changed by somebody else${this.#gateways.blame()}; they are put back`);
    } else if ((this.#rules?.until ?? Infinity) <= now()) {
      await this.#apply(compiled);
    }
    await this.#switch.daemons.boundLogs();
  }

  async #isWhole(): Promise<boolean> {
    return (await this.#gateways.inspect()) === 'standing' && (await this.#switch.isAsTold());
  }

  async #apply(compiled: SwitchedNetwork): Promise<void> {
    const devices = new Set<string>();
    const portOf = (device: string): number => {
      devices.add(device);
      return this.#switch.portOf(device);
    };
    const rules = renderOpenFlow(compiled, { portOf, atSeconds: now() });
    await this.#switch.apply(rules);
    this.#compiled = compiled;
    this.#rules = rules;
    await this.#switch.keepPorts(devices);
  }

  #move(verb: 'add' | 'delete', machine: Machine): Promise<boolean> {
    return this.#alone(async () => {
      const before = this.#compiled;
      const changed = before === undefined ? undefined : changeMachine(before, verb, machine);
      const gateways = before === undefined ? undefined : changeMachine(before.gateways, verb, atGateway(machine));
      if (changed === undefined || gateways === undefined) return false;
      await this.#switch.open();
      await this.#apply({ ...changed.compiled, gateways: gateways.compiled });
      await this.#gateways.change(gateways.compiled);
      return true;
    });
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function now(): number {
  return Date.now() / 1_000;
}
