// Whether a machine that is wanted differs from the one that stands, and in what: each difference has its own way to be made good.
import type { Machine, Share } from '@ringwall/netpolicy';

export function sameShare(a: Share, b: Share | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Whether the cable is the same; labels are the walls'. */
export function sameCable(a: Machine | undefined, b: Machine | undefined): boolean {
  return a !== undefined && b !== undefined && cableOf(a) === cableOf(b);
}

export function sameRules(a: Machine | undefined, b: Machine | undefined): boolean {
  if (a === undefined || b === undefined || !sameCable(a, b)) return false;
  return a.name === b.name && labelsOf(a) === labelsOf(b);
}

function labelsOf({ labels }: Machine): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.toSorted().join();
}

function cableOf({ interface: device, mac, addresses }: Machine): string {
  return [device, mac, ...addresses.map(({ text }) => text)].join(' ');
}
