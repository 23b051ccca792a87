// What is known of layers, kept by their digest: a base that many images share is read once.
import { decodeLayer, encodeLayer, RECORD_FORMAT, type LayerContents } from '@ringwall/oci';
import { openKeptFiles } from './kept-files.ts';

/** Some thousand layers. */
export const MAX_CACHE_BYTES: number = 1024 ** 3;

export interface LayerCache {
  readonly get: (digest: string) => LayerContents | undefined;
  /** Never throws. */
  readonly put: (digest: string, contents: LayerContents) => void;
  readonly trim: (maxBytes?: number) => void;
}

/** `ids` of all that makes facts: with others, other files are used. */
export function openLayerCache(folder: string, ids: readonly string[]): LayerCache {
  const kept = openKeptFiles(folder, { encode: encodeLayer, decode: decodeLayer });
  const keyOf = (digest: string): string => [RECORD_FORMAT, digest, ...ids].join('\n');
  return {
    get: (digest) => kept.get(keyOf(digest)),
    put: (digest, contents) => kept.put(keyOf(digest), contents),
    trim: (maxBytes = MAX_CACHE_BYTES) => kept.trim(maxBytes),
  };
}
