// Joins the warden to host/network: namespaces, the walls and cables in them, and who serves addresses and names there.
import { basename, join } from 'node:path';
import type { Layout, NetworkPart, NetworkSite } from '@ringwall/control/warden';
import { run } from '@ringwall/host/exec';
import {
  brokenCables,
  brokenGateways,
  cableIndexes,
  closeNamespace,
  connectCables,
  connectGateways,
  cutCable,
  endConnections,
  inNamespace,
  isNamespace,
  limitReceiving,
  notLimited,
  readSiteCounts,
  sniff,
  openNamespace,
  readOwnRanges,
  Walls,
  type BrokenCable,
  type NamespaceRun,
} from '@ringwall/host/network';
import { brokenPorts, connectSegment, keepApart } from '@ringwall/host/network/bridged';
import { Switch, SwitchWalls } from '@ringwall/host/network/openvswitch';
import type { UidLeases } from '@ringwall/host/jail';
import { Edge } from '@ringwall/host/network/egress';
import { setMirror } from '@ringwall/host/network/mirror';
import { NamesServer } from '@ringwall/host/network/names';
import { Tunnels } from '@ringwall/host/network/tunnels';
import { NETWORK_COMPONENTS, requireComponents, SWITCH_COMPONENTS } from './components.ts';

type Members = Parameters<NetworkSite['cut']>[0];

/** What differs between the ways in which machines of a network are joined. */
type Joint = Pick<NetworkSite, Exclude<keyof NetworkSite, 'mirror' | 'names' | 'connect' | 'broken' | 'tunnels'>> & {
  readonly join: (machines: Members) => Promise<void>;
  /** Those that are not as `join` left them. */
  readonly apart: (machines: Members) => Promise<readonly BrokenCable[]>;
};

export function makeNetworkPart(
  leases: UidLeases,
  { edge, runSwitches }: Pick<Layout, 'edge' | 'runSwitches'>,
): NetworkPart {
  const namesIn = (pin: string): NamesServer =>
    new NamesServer({ id: basename(pin), dir: `${pin}.names`, namespace: pin, leases });
  // Not beside the pin: users of jails have to get there.
  const switchIn = (pin: string, inside: NamespaceRun): Switch =>
    new Switch(inside, {
      id: basename(pin),
      dir: join(runSwitches, basename(pin)),
      namespace: pin,
      leases,
    });
  return {
    isThere: isNamespace,
    open: async (pin, mode) => {
      await requireComponents(mode === 'openvswitch' ? SWITCH_COMPONENTS : NETWORK_COMPONENTS);
      const inside = await openNamespace(run, pin);
      const {
        join: joinMachines,
        apart,
        ...joint
      } = mode === 'openvswitch'
        ? switched(inside, switchIn(pin, inside))
        : mode === 'bridged'
          ? bridged(inside)
          : routed(inside);
      return {
        ...joint,
        mirror: (machines) => setMirror(run, { inside, file: portOf(pin) }, machines),
        names: namesIn(pin),
        connect: async (sharers) => {
          await joinMachines(sharers.map(({ machine }) => machine));
          await limitReceiving(inside, sharers);
        },
        broken: async (sharers) => {
          const found = await apart(sharers.map(({ machine }) => machine));
          const known = new Set(found.map(({ machine }) => machine));
          const others = sharers.filter(({ machine }) => !known.has(machine));
          return [
            ...found,
            ...(await notLimited(inside, others)).map((machine) => ({ machine, how: 'changed' as const })),
          ];
        },
        tunnels: (place, ranges) => Tunnels.open({ network: pin, ranges, dir: place.tunnels, label: place.id, leases }),
      };
    },
    close: async (pin) => {
      await namesIn(pin).stop();
      await switchIn(pin, inNamespace(run, pin)).close();
      await closeNamespace(run, pin);
      await closeNamespace(run, portOf(pin));
    },
    ownRanges: () => readOwnRanges(run),
    edge: new Edge({ pin: edge }),
  };
}

/** As networkLayout() names it. */
function portOf(pin: string): string {
  return `${pin}.mirror`;
}

function routed(inside: NamespaceRun): Joint {
  const walls = new Walls(inside);
  return {
    walls,
    counts: () => readSiteCounts(inside, walls),
    join: (machines) => connectCables(inside, machines),
    keepApart: () => Promise.resolve(),
    cut: (machines) => cutCable(inside, ...machines),
    endConnections: (mayBegin) => endConnections(inside, mayBegin),
    apart: (machines) => brokenCables(inside, machines),
    sniff: (order) => sniff(run, inside, order),
    indexes: (machines) => cableIndexes(inside, machines),
  };
}

function bridged(inside: NamespaceRun): Joint {
  return {
    ...routed(inside),
    join: async (machines) => {
      await connectSegment(inside, machines);
      await connectGateways(inside, machines);
    },
    keepApart: (machines, isolated) => keepApart(inside, machines, isolated),
    apart: async (machines) => withGateways(inside, machines, await brokenPorts(inside, machines)),
  };
}

/** Those whose cable is as it was, and their gateway is not, besides. */
async function withGateways(
  inside: NamespaceRun,
  machines: Members,
  broken: readonly BrokenCable[],
): Promise<readonly BrokenCable[]> {
  const known = new Set(broken.map(({ machine }) => machine));
  return [
    ...broken,
    ...(await brokenGateways(
      inside,
      machines.filter((machine) => !known.has(machine)),
    )),
  ];
}

function switched(inside: NamespaceRun, own: Switch): Joint {
  const walls = new SwitchWalls(inside, own);
  return {
    walls,
    counts: async () => {
      const { connections: _, ...counts } = await readSiteCounts(inside, walls);
      const connections = await own.connections();
      return { ...counts, ...(connections === undefined ? {} : { connections }) };
    },
    join: async (machines) => {
      await own.connect(machines);
      await connectGateways(inside, machines);
    },
    keepApart: () => Promise.resolve(),
    cut: (machines) => own.cut(machines),
    endConnections: (mayBegin) => own.endConnections(mayBegin),
    apart: async (machines) => withGateways(inside, machines, await own.broken(machines)),
    sniff: (order) => sniff(run, inside, order),
    // Gateways are interfaces of the kernel's; what comes by a cable is the switch's to tell.
    indexes: async (machines) => new Map([...(await cableIndexes(inside, machines)), ...own.indexes(machines)]),
  };
}
