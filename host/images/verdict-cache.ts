// What was found in images, kept by all that a verdict comes from: what the image is, which rules judge it, and what else they go by.
// With another of them it is another verdict, and the image is judged anew.
import { decodeFindings, encodeFindings, type Finding, type ImageConfig, type InspectedLayer } from '@ringwall/oci';
import { openKeptFiles } from './kept-files.ts';

const VERDICT_FORMAT = 'verdict/1';
/** Some ten thousand images. */
const MAX_CACHE_BYTES: number = 128 * 1024 ** 2;

/** What is judged: layers by their digests. */
export interface JudgedImage {
  readonly config: ImageConfig;
  readonly layers: readonly InspectedLayer[];
}

export interface VerdictCache extends Disposable {
  readonly get: (image: JudgedImage) => readonly Finding[] | undefined;
  /** Never throws. */
  readonly put: (image: JudgedImage, findings: readonly Finding[]) => void;
}

/** `grounds`: the rules, and whatever else they go by, each by what changes with it. */
export function openVerdictCache(folder: string, grounds: readonly string[]): VerdictCache {
  const kept = openKeptFiles(folder, { encode: encodeFindings, decode: decodeFindings });
  let hasGrown = false;
  const keyOf = ({ config, layers }: JudgedImage): string =>
    JSON.stringify([
      VERDICT_FORMAT,
      grounds,
      config,
      layers.map((layer) => [layer.digest, layer.diffId, layer.createdBy]),
    ]);
  // A layer that nothing names could be any other the next time.
  const isNamed = ({ layers }: JudgedImage): boolean => layers.every(({ digest }) => digest !== '');
  return {
    get: (image) => (isNamed(image) ? kept.get(keyOf(image)) : undefined),
    put: (image, findings) => {
      if (!isNamed(image)) return;
      kept.put(keyOf(image), findings);
      hasGrown = true;
    },
    [Symbol.dispose]: () => {
      if (hasGrown) kept.trim(MAX_CACHE_BYTES);
    },
  };
}
