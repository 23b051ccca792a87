// A network as it is drawn: kinds of machines, those of other hosts by the name of their host. Pure.
import type { ShownMap } from '@ringwall/api/networks';
import { mapNetwork } from '@ringwall/netpolicy';
import type { Model } from './model.ts';

export function showMap({ network, definition, machines, far }: Model, atSeconds: number): ShownMap {
  const { nodes, edges } = mapNetwork(definition, machines, { atSeconds });
  const hosts = new Map(far.machines.map(({ name, host }) => [name, `${name}@${host}`]));
  return {
    network: network.name,
    nodes: nodes.map((node) => ({ ...node, machines: node.machines.map((name) => hosts.get(name) ?? name) })),
    edges: edges.map((edge) => ({ ...edge, services: [...edge.services], rules: [...edge.rules] })),
  };
}
