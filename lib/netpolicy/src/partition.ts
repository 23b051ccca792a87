// Cuts a line into pieces on which nothing changes: of intervals that may overlap, each with an owner, the pieces between their
// ends, each with all of its owners. Addresses and ports are classified so.
import type { Budget } from './budget.ts';

export interface Interval {
  readonly first: bigint;
  readonly last: bigint;
  readonly owner: number;
}

export interface Piece {
  readonly first: bigint;
  readonly last: bigint;
  /** Ascending. */
  readonly owners: readonly number[];
}

/** The pieces in ascending order; where no interval lies there is none. Neighbours with the same owners are one piece. */
export function partition(intervals: readonly Interval[], budget: Budget): Piece[] {
  const events = intervals
    .flatMap(({ first, last, owner }) => [
      { at: first, owner, step: 1 },
      { at: last + 1n, owner, step: -1 },
    ])
    .toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const active = new Map<number, number>();
  const pieces: Piece[] = [];
  let from = 0n;
  for (const [index, { at, owner, step }] of events.entries()) {
    if (index > 0 && at > from && active.size > 0)
      append(pieces, { first: from, last: at - 1n, owners: sorted(active) });
    if (at > from || index === 0) budget.spend(active.size + 1);
    from = at;
    const count = (active.get(owner) ?? 0) + step;
    if (count === 0) active.delete(owner);
    else active.set(owner, count);
  }
  return pieces;
}

/** The piece that a place lies in, by bisection. */
export function pieceAt(pieces: readonly Piece[], place: bigint): Piece | undefined {
  let [low, high] = [0, pieces.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pieces[middle]?.last ?? 0n) < place) low = middle + 1;
    else high = middle;
  }
  const piece = pieces[low];
  return piece !== undefined && piece.first <= place ? piece : undefined;
}

function append(pieces: Piece[], piece: Piece): void {
  const before = pieces.at(-1);
  if (before !== undefined && before.last + 1n === piece.first && sameOwners(before.owners, piece.owners)) {
    pieces[pieces.length - 1] = { ...before, last: piece.last };
  } else {
    pieces.push(piece);
  }
}

function sameOwners(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((owner, index) => owner === b[index]);
}

function sorted(active: ReadonlyMap<number, number>): number[] {
  return [...active.keys()].toSorted((a, b) => a - b);
}
