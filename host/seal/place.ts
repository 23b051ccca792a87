// Where contents lie that are sealed, or go that are opened: in a file, or in memory that threads share.
import { viewsOf, type SharedMemory } from '../memory/index.ts';
import { readAt, writeAt } from './whole-io.ts';

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

export function writePlace(place: Place, bytes: Uint8Array, at: number): void {
  if (typeof place === 'number') {
    writeAt(place, bytes, at);
    return;
  }
  for (const { view, done } of viewsOf(place, at, bytes.length)) view.set(bytes.subarray(done, done + view.length));
}
