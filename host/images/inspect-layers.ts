// The layers of an image read, all at once, or taken from what is known of them.
import {
  countContents,
  finishFacts,
  idsOf,
  inspectImage,
  INSPECTORS,
  OciError,
  type FactFinisher,
  type InspectedImage,
  type LayerContents,
} from '@ringwall/oci';
import type { StoredImage } from './image-in-store.ts';
import { openLayerCache } from './layer-cache.ts';
import { makeBudget, openSharedBudget } from './shared-budget.ts';
import { openLayerThreads, type LayerThreads } from './layer-threads.ts';
import type { SampleLooker } from './sampling.ts';

export interface LayerScanner extends SampleLooker {
  /** Changes with what it knows. */
  readonly id: string;
}

export interface InspectOptions {
  /** Where layers are kept; undefined where they are not. */
  readonly cacheFolder: string | undefined;
  readonly finishers: readonly FactFinisher[];
  /** Looks at samples of layers; its facts are kept with theirs. */
  readonly scanner?: LayerScanner | undefined;
  readonly signal: AbortSignal;
}

export interface LayerReader extends AsyncDisposable {
  /** Throws OciError, which names the layer, or what reading throws. */
  readonly inspect: (image: StoredImage) => Promise<InspectedImage>;
  /** False where another time more may be said of it: a scanner had no time. */
  readonly isLasting: (image: InspectedImage) => boolean;
  /** How many layers were read, and how many were known. */
  readonly counts: () => { readonly read: number; readonly known: number };
}

/** For one image or for many: what they share is read once. */
export function openLayerReader({ cacheFolder, finishers, scanner, signal }: InspectOptions): LayerReader {
  const ids = [...idsOf(INSPECTORS, finishers), ...(scanner === undefined ? [] : [scanner.id])];
  const cache = cacheFolder === undefined ? undefined : openLayerCache(cacheFolder, ids);
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  let threads: LayerThreads | undefined;
  let read = 0;
  let known = 0;
  const passing = new WeakSet<LayerContents | InspectedImage>();
  /** Two images of one run, or one image with a layer twice. */
  const underWay = new Map<string, Promise<LayerContents>>();

  const contentsOf = async (image: StoredImage, at: number, budget: SharedArrayBuffer): Promise<LayerContents> => {
    const { digest, diffId } = image.layers[at] ?? { digest: '', diffId: '' };
    const blob = image.blobs[at];
    if (blob === undefined) throw new OciError('malformed', `layer ${String(at + 1)} is not there`);
    // One that nothing names could be any other the next time.
    const namedCache = digest === '' ? undefined : cache;
    const kept = namedCache?.get(digest);
    if (kept !== undefined) {
      countContents(kept, openSharedBudget(budget));
      known += 1;
      return kept;
    }
    read += 1;
    threads ??= openLayerThreads(scanner);
    // An archive names its layers by what they unpack to.
    const packed = digest === diffId ? '' : digest;
    const { contents: unfinished, isLasting } = await threads.read({ blob, digest: packed, diffId, budget }, ended);
    const contents = await finishFacts(unfinished, INSPECTORS, finishers);
    if (isLasting) namedCache?.put(digest, contents);
    else passing.add(contents);
    return contents;
  };
  const layerOf = (image: StoredImage, at: number, budget: SharedArrayBuffer): Promise<LayerContents> => {
    const digest = image.layers[at]?.digest ?? '';
    const running = digest === '' ? undefined : underWay.get(digest);
    if (running !== undefined) return running;
    const contents = contentsOf(image, at, budget).catch((error: unknown) => {
      throw named(error, at, image);
    });
    underWay.set(digest, contents);
    void contents.finally(() => underWay.delete(digest)).catch(() => undefined);
    return contents;
  };
  return {
    inspect: async (image) => {
      const budget = makeBudget();
      const contents = await Promise.all(image.layers.map((_, at) => layerOf(image, at, budget)));
      const inspected = inspectImage(image.config, image.layers, contents);
      if (contents.some((each) => passing.has(each))) passing.add(inspected);
      return inspected;
    },
    isLasting: (image) => !passing.has(image),
    counts: () => ({ read, known }),
    [Symbol.asyncDispose]: async () => {
      stop.abort(new Error('the reading of layers is over'));
      await threads?.[Symbol.asyncDispose]();
      if (read > 0) cache?.trim();
    },
  };
}

function named(error: unknown, at: number, { layers }: StoredImage): unknown {
  if (!(error instanceof OciError)) return error;
  const { digest = '' } = layers[at] ?? {};
  const which = digest === '' ? '' : ` (${digest.slice(0, 19)})`;
  return new OciError(error.code, `layer ${String(at + 1)}${which}: ${error.message}`, {
    cause: error,
  });
}
