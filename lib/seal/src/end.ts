// The end of a sealed object: only who has read it knows that nothing is missing.
import { Cursor, equalBytes } from '@ringwall/bytes';
import type { Manifest } from './manifest.ts';
import { SealError } from './seal-error.ts';
import { altered, type StoredRecord } from './stored-records.ts';

export interface SeenBefore {
  readonly manifest: Manifest;
  /** Of the end; undefined where its tag was wrong. */
  readonly plaintext: Uint8Array | undefined;
  /** Of the tree over the digests before it. */
  readonly root: Uint8Array;
  /** As the caller has kept it. */
  readonly expectedRoot: Uint8Array | undefined;
  /** Bytes of the contents until here. */
  readonly given: number;
  /** Whether a chunk without data is due, whose length only this says. */
  readonly owes: boolean;
}

/** How long all is, and the chunk that is due. Throws SealError `altered`. */
export function judgeEnd(end: StoredRecord, seen: SeenBefore): { readonly total: number; readonly left: number } {
  const { manifest, plaintext, root, expectedRoot, given, owes } = seen;
  if (plaintext === undefined) throw altered(end, 'is not the end that was sealed');
  if (!equalBytes(root, end.digest)) throw altered(end, 'has another tree than the digests before it');
  if (expectedRoot !== undefined && !equalBytes(root, expectedRoot)) {
    throw new SealError('altered', 'it is another object than the one whose root was given', { offset: end.offset });
  }
  const total = Number(new Cursor(plaintext).u64be('bytes'));
  const left = total - given;
  if (left < 0 || left > (owes ? manifest.chunkBytes : 0) || (owes && left === 0)) {
    throw altered(end, `says ${total} bytes, and ${given} came`);
  }
  if (manifest.bytes !== null && manifest.bytes !== total) throw altered(end, 'says another length than the manifest');
  return { total, left };
}
