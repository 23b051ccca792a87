// Lists of address ranges that are in order, so that two of them are compared in one walk over both: rules may have hundreds, and each
// rule is compared with each.
import type { AddressRange } from './address.ts';

/** By family, then by their first address. They may overlap each other. */
export function inOrder(ranges: readonly AddressRange[]): readonly AddressRange[] {
  return ranges.toSorted((a, b) => a.family - b.family || compare(a.first, b.first));
}

/** Whether an address is in both. Both are in order. */
export function listsOverlap(a: readonly AddressRange[], b: readonly AddressRange[]): boolean {
  for (let [i, j] = [0, 0]; ;) {
    const [one, other] = [a[i], b[j]];
    if (one === undefined || other === undefined) return false;
    // Whatever ends before the other list's next begins meets nothing behind that either.
    if (endsBefore(one, other)) i += 1;
    else if (endsBefore(other, one)) j += 1;
    else return true;
  }
}

/** Whether each of `inner` lies in one of `outer`. Both are in order. */
export function listCovers(outer: readonly AddressRange[], inner: readonly AddressRange[]): boolean {
  let next = 0;
  let reach: AddressRange | undefined;
  return inner.every((range) => {
    // Of those that begin no later, the one that goes furthest.
    for (let candidate; (candidate = outer[next]) !== undefined && beginsByThen(candidate, range); next += 1) {
      if (reach?.family !== candidate.family || reach.last < candidate.last) reach = candidate;
    }
    return reach?.family === range.family && range.last <= reach.last;
  });
}

function endsBefore(one: AddressRange, other: AddressRange): boolean {
  return one.family === other.family ? one.last < other.first : one.family < other.family;
}

function beginsByThen(one: AddressRange, other: AddressRange): boolean {
  return one.family === other.family ? one.first <= other.first : one.family < other.family;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
