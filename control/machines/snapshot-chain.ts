// Which snapshots continue which. One that continues another is of no use without it: so a chain is put back, verified and kept as one.
import { RingwallError } from '@ringwall/api';
import { MAX_SNAPSHOT_CHAIN, type Snapshot } from '@ringwall/api/snapshots';

type Linked = Pick<Snapshot, 'id' | 'parent' | 'sequence'>;

/** From the whole one on to this. Throws where one is missing, or where it has no beginning. */
export function chainOf<S extends Linked>(snapshot: S, all: readonly S[]): readonly S[] {
  const chain = [snapshot];
  for (let first = snapshot; first.parent !== undefined;) {
    const parent = all.find(({ id }) => id === first.parent);
    const [name, continued] = [`@${String(first.sequence)}`, parent && `@${String(parent.sequence)}`];
    if (parent === undefined) {
      throw new RingwallError('conflict', `what ${name} continues is gone (${first.parent})`, {
        hint: 'take a whole one: ringwall snapshot --full NAME; this one can only be removed',
      });
    }
    if (chain.includes(parent)) {
      throw new RingwallError('conflict', `${name} continues ${continued ?? ''}, which continues it`);
    }
    if (chain.length >= MAX_SNAPSHOT_CHAIN) {
      throw new RingwallError('conflict', `it is at the end of more than ${String(MAX_SNAPSHOT_CHAIN)} snapshots`);
    }
    chain.unshift(parent);
    first = parent;
  }
  return chain;
}

/** What the next one may continue: the newest, unless so many continue one another already, or some of them are gone. */
export function continuable<S extends Linked>(all: readonly S[]): S | undefined {
  const [newest] = all.toSorted((a, b) => b.sequence - a.sequence);
  try {
    return newest !== undefined && chainOf(newest, all).length < MAX_SNAPSHOT_CHAIN ? newest : undefined;
  } catch (error) {
    if (!(error instanceof RingwallError)) throw error;
    return undefined;
  }
}

/** Those of `unwanted` that nothing needs which stays: the newest first, so that none goes before what continues it. */
export function removable<S extends Linked>(unwanted: readonly S[], all: readonly S[]): readonly S[] {
  const parents = new Map(all.map(({ id, parent }) => [id, parent]));
  const gone = new Set(unwanted.map(({ id }) => id));
  const needed = new Set<string>();
  for (const { id, parent } of all) {
    if (gone.has(id)) continue;
    for (let at = parent; at !== undefined && !needed.has(at); at = parents.get(at)) needed.add(at);
  }
  return unwanted.filter(({ id }) => !needed.has(id)).toSorted((a, b) => b.sequence - a.sequence);
}

/** Those right behind it. */
export function continuersOf<S extends Linked>({ id }: Linked, all: readonly S[]): readonly S[] {
  return all.filter(({ parent }) => parent === id).toSorted((a, b) => a.sequence - b.sequence);
}
