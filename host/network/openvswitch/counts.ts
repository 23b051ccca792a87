// What flows have counted: each says by its cookie for which decision, and for which reason where it drops.
import { cookieParts, type Count, type DropReason } from '@ringwall/netpolicy';

const FLOW = /cookie=(0x[0-9a-f]+), .*?n_packets=(\d+), n_bytes=(\d+), /g;

export interface FlowCounts {
  readonly refused: ReadonlyMap<DropReason, Count>;
  /** By the number of the port that it came from. */
  readonly refusedFrom: ReadonlyMap<number, ReadonlyMap<DropReason, Count>>;
  /** By the number of the decision: packets that it was asked about, which is one for a connection that is answered. */
  readonly decided: ReadonlyMap<number, number>;
}

/** Pure: what `ovs-ofctl dump-flows` says, a flow a line. */
export function countFlows(listing: string): FlowCounts {
  const refused = new Map<DropReason, Count>();
  const refusedFrom = new Map<number, Map<DropReason, Count>>();
  const decided = new Map<number, number>();
  for (const [, cookie = '0', packets, bytes] of listing.matchAll(FLOW)) {
    const { reason, decision, port } = cookieParts(BigInt(cookie));
    const count = { packets: Number(packets), bytes: Number(bytes) };
    if (reason !== undefined) {
      const counts = port === 0 ? refused : (refusedFrom.get(port) ?? new Map<DropReason, Count>());
      const before = counts.get(reason) ?? { packets: 0, bytes: 0 };
      counts.set(reason, { packets: before.packets + count.packets, bytes: before.bytes + count.bytes });
      if (port !== 0) refusedFrom.set(port, counts);
    }
    if (decision !== 0) decided.set(decision, (decided.get(decision) ?? 0) + count.packets);
  }
  return { refused, refusedFrom, decided };
}
