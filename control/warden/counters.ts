// What was counted in a network, by the ids of its machines: interfaces are this host's own matter.
import { gatewayOf, type Count, type DropReason } from '@ringwall/netpolicy';
import type { CountersAnswer } from '@ringwall/api/counters';
import type { NetworkId } from '@ringwall/api';
import type { WardenContext } from './context.ts';

/** Of rules that have decided: the most used ones, so that an answer fits in its line. */
const RULES_ANSWERED = 4_000;
const NOTHING: Count = { packets: 0, bytes: 0 };

export async function countNetwork({ networks }: WardenContext, network: NetworkId): Promise<CountersAnswer> {
  const [{ counts, machines }, out] = await Promise.all([
    networks.require(network).counts(),
    networks.countsOut(network),
  ]);
  return {
    refused: Array.from(counts.refused, ([reason, count]) => ({ reason, ...count })),
    rules: counts.decisions
      .filter(({ connections }) => connections > 0)
      .toSorted((a, b) => b.connections - a.connections)
      .slice(0, RULES_ANSWERED)
      .map(({ rules, connections }) => ({ rules: [...rules], connections })),
    putBack: counts.putBack,
    ...(counts.connections === undefined ? {} : { connections: counts.connections }),
    ...(out === undefined ? {} : { out: { ...out, refused: refusedOf(out.refused) } }),
    machines: Array.from(machines, ([device, machine]) => {
      const { sent, received, late } = counts.cables.get(device) ?? { sent: NOTHING, received: NOTHING, late: 0 };
      // On a switch its gateway has an interface of its own.
      const own = [device, gatewayOf(device)].flatMap((end) => [...(counts.refusedFrom.get(end) ?? [])]);
      return { machine, sent, received, late, refused: refusedOf(addUp(own)) };
    }),
  };
}

function addUp(counts: readonly (readonly [DropReason, Count])[]): ReadonlyMap<DropReason, Count> {
  const sums = new Map<DropReason, Count>();
  for (const [reason, { packets, bytes }] of counts) {
    const before = sums.get(reason) ?? NOTHING;
    sums.set(reason, { packets: before.packets + packets, bytes: before.bytes + bytes });
  }
  return sums;
}

/** Of a machine or network most reasons have never been. */
function refusedOf(counts: ReadonlyMap<DropReason, Count>): CountersAnswer['refused'] {
  return Array.from(counts, ([reason, count]) => ({ reason, ...count })).filter(({ packets }) => packets > 0);
}
