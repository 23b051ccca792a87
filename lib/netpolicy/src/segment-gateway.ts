// The gateway of a network on a switch: it gives addresses and names, and leads nowhere. Each machine has one of its own, a port beside
// its cable, to which whatever it says to a gateway is led before the switch sees it (host/network). So it is walled in as a routed
// network without rules is, by the same sets and chains, and a machine is known there by where its words come from.
import { compileNetwork, type CompiledNetwork } from './compile.ts';
import { drops } from './drop-reasons.ts';
import type { Machine } from './machine.ts';
import type { Network } from './policy.ts';
import type { Ruleset, Table } from './ruleset.ts';
import { logPart } from './switch-log.ts';
import { hooked } from './tables.ts';

/** The same on every cable, and no machine's: the host gives those it makes out of 02:… */
export const GATEWAY_MAC = 'fe:ff:ff:ff:ff:fe';
/** No cable's name begins so. */
const [GATEWAY_PREFIX, PORT_PREFIX] = ['g', 'p'];
const SILENCE = 'ringwall-silence';
/** Before connection tracking, and before what the gateway's own walls look at. */
const FIRST_PRIORITY = -400;

/** The interface that is a machine's gateway, by the name of its cable. */
export function gatewayOf(device: string): string {
  return `${GATEWAY_PREFIX}${device.slice(1)}`;
}

/** The other end of it, to which the machine's words are led. */
export function gatewayPortOf(device: string): string {
  return `${PORT_PREFIX}${device.slice(1)}`;
}

/** The machine as its gateway meets it. */
export function atGateway(machine: Machine): Machine {
  return { ...machine, interface: gatewayOf(machine.interface) };
}

/**
 * Walls in which nobody reaches anybody: what is not asked of the gateway itself is dropped and counted, also what would belong to a
 * connection, as an error that one machine reports of what another has asked.
 */
export function compileGateways(network: Network, machines: readonly Machine[]): CompiledNetwork {
  const leadsNowhere: Network = { ...network, mode: 'routed', internet: 'none', rules: [], shares: [] };
  const compiled = compileNetwork(
    leadsNowhere,
    machines.map((machine) => atGateway(machine)),
  );
  const tables = compiled.ruleset.tables.map((table) => ({
    ...table,
    chains: table.chains.map((chain) =>
      chain.hook?.at === 'forward' ? { ...chain, rules: [[drops('refused')]] } : chain,
    ),
  }));
  return { ...compiled, ruleset: { tables } };
}

/**
 * Where a switch is: its datapath in user space has a copy of each frame, and the kernel, which has it as well, is nobody there but for
 * what is led to gateways, and for what the switch has it log.
 */
export function compileSilence(denials: ReadonlyMap<string, number>): Ruleset {
  const log = logPart(denials);
  const tables = (
    [
      ['inet', 'prerouting'],
      ['arp', 'input'],
    ] as const
  ).map(([family, at]): Table => ({
    family,
    name: SILENCE,
    counters: [],
    sets: log.sets,
    chains: [
      ...log.chains,
      hooked('silence', at, FIRST_PRIORITY, 'drop', [
        [{ match: ['iifname'], op: '==', to: `${GATEWAY_PREFIX}*` }, { verdict: 'accept' }],
        log.rule,
      ]),
    ],
  }));
  return { tables };
}
