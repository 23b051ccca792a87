// Where contents lie that are sealed, or go that are opened: in a file, or in memory that threads share.
import { viewsOf, type SharedMemory } from '../memory/shared-memory.ts';
import { readAt, writeAllAt } from './whole-io.ts';

/** A descriptor, of a file or block device; or memory. */
export type Place = number | SharedMemory;

/** Gives how many bytes there were: fewer only where it ends. */
export function readPlace(place: Place, target: Uint8Array, at: number): number {
  if (typeof place === 'number') return readAt(place, target, at);
  let read = 0;
  for (const { view, done } of viewsOf(place, at, target.length)) {
    target.set(view, done);
    read += view.length;
  }
  return read;
}

/** What lies there, where that is one piece of memory: nobody may write to it meanwhile. */
export function viewPlace(place: Place, at: number, length: number): Uint8Array | undefined {
  if (typeof place === 'number') return undefined;
  const [first] = viewsOf(place, at, length);
  return first?.view.length === length ? first.view : undefined;
}

/** One behind the other. */
export function writePlace(place: Place, pieces: readonly Uint8Array[], from: number): void {
  if (typeof place === 'number') {
    writeAllAt(place, pieces, from);
    return;
  }
  let at = from;
  for (const bytes of pieces) {
    for (const { view, done } of viewsOf(place, at, bytes.length)) view.set(bytes.subarray(done, done + view.length));
    at += bytes.length;
  }
}
