// Joins the warden to host/network: namespaces, the walls and cables in them, and who serves addresses and names there.
import { basename } from 'node:path';
import type { NetworkPart } from '@ringwall/control/warden';
import { run } from '@ringwall/host/exec';
import {
  brokenCables,
  cableIndexes,
  closeNamespace,
  connectCables,
  cutCable,
  isNamespace,
  limitReceiving,
  sniff,
  openNamespace,
  Walls,
} from '@ringwall/host/network';
import { brokenPorts, connectSegment, keepApart } from '@ringwall/host/network/bridged';
import type { UidLeases } from '@ringwall/host/jail';
import { NamesServer } from '@ringwall/host/network/names';
import { Tunnels } from '@ringwall/host/network/tunnels';
import { NETWORK_COMPONENTS, requireComponents } from './components.ts';

export function makeNetworkPart(leases: UidLeases): NetworkPart {
  const namesIn = (pin: string): NamesServer =>
    new NamesServer({ id: basename(pin), dir: `${pin}.names`, namespace: pin, leases });
  return {
    isThere: isNamespace,
    open: async (pin, mode) => {
      await requireComponents(NETWORK_COMPONENTS);
      const inside = await openNamespace(run, pin);
      const isBridged = mode === 'bridged';
      return {
        walls: new Walls(inside),
        names: namesIn(pin),
        connect: async (sharers) => {
          const machines = sharers.map(({ machine }) => machine);
          await (isBridged ? connectSegment(inside, machines) : connectCables(inside, machines));
          await limitReceiving(inside, sharers);
        },
        keepApart: async (machines, isolated) => {
          if (isBridged) await keepApart(inside, machines, isolated);
        },
        cut: (machines) => cutCable(inside, ...machines),
        sniff: (order) => sniff(run, inside, order),
        indexes: (machines) => cableIndexes(inside, machines),
        broken: (machines) => (isBridged ? brokenPorts(inside, machines) : brokenCables(inside, machines)),
        tunnels: (place, ranges) => Tunnels.open({ network: pin, ranges, dir: place.tunnels, label: place.id, leases }),
      };
    },
    close: async (pin) => {
      await namesIn(pin).stop();
      await closeNamespace(run, pin);
    },
  };
}
