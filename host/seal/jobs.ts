// What a lane is given, as it goes to a thread: descriptors of this process, keys, and the memory that all lanes share.
import type { ObjectKeys } from '@ringwall/seal/engine';
import type { Place } from './place.ts';

/** A piece of the contents that lies somewhere, from that place's beginning on. Between regions are zeros. */
export interface Region {
  readonly place: Place;
  /** In the contents. */
  readonly offset: number;
  readonly bytes: number;
  /** A bit for each of its pages, the lowest first: whether it is as in the parent. */
  readonly kept?: SharedArrayBuffer;
  /** As `kept`: whether it is known to be zero. */
  readonly zeros?: SharedArrayBuffer;
}

/** Whether the bit of this page is set: a disk may have more pages than an integer of 32 bits counts. */
export function hasPage(bits: Uint8Array, page: number): boolean {
  return (((bits[Math.floor(page / 8)] ?? 0) >> (page % 8)) & 1) === 1;
}

interface Job {
  readonly keys: ObjectKeys;
  /** Of a `Relay`. */
  readonly relay: SharedArrayBuffer;
  /** Of the sealed object. */
  readonly object: number;
  readonly regions: readonly Region[];
}

export interface SealJob extends Job {
  readonly kind: 'seal';
  /** Of a `ChunkQueue`. */
  readonly queue: SharedArrayBuffer;
  /** Of the contents. */
  readonly bytes: number;
}

export interface OpenJob extends Job {
  readonly kind: 'open';
  /** Of the sealed object. */
  readonly objectBytes: number;
  /** Whether each record is compared with its digest, too. */
  readonly checksDigests: boolean;
  /** Whether zeros are written: there is something where they go. */
  readonly writesZeros: boolean;
}

export type LaneJob = SealJob | OpenJob;

/** Does the next piece of the work; false when none is left. Throws what stops all of it. */
export interface Lane {
  readonly step: () => boolean;
}
