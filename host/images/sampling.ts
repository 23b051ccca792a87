// Samples of a layer, gathered while it streams by and looked at in batches meanwhile: memory holds one batch that is filled and one
// that is looked at, however large the layer is.
import { sampleInspector, type Fact, type Inspector, type Sample } from '@ringwall/oci';
import type { Looked } from '../malware/index.ts';

/** Many small files cost a header each, and a path. */
const MAX_SAMPLES_OF_BATCH = 4_000;

export interface SampleLooker {
  readonly batchBytes: number;
  readonly look: (samples: readonly Sample[]) => Promise<Looked>;
}

export interface Sampling {
  readonly inspector: Inspector;
  /** Where too much waits: what to wait for before more is read. Throws what looking throws. */
  readonly room: () => Promise<void> | undefined;
  /** When the layer is over. Throws what looking throws. */
  readonly end: () => Promise<Looked>;
}

export function openSampling({ batchBytes, look }: SampleLooker): Sampling {
  let batch: Sample[] = [];
  let bytes = 0;
  const facts: Fact[] = [];
  let isLasting = true;
  let underWay: Promise<void> | undefined;

  const isFull = (): boolean => bytes >= batchBytes || batch.length >= MAX_SAMPLES_OF_BATCH;
  const start = (): Promise<void> => {
    const samples = batch;
    batch = [];
    bytes = 0;
    const before = underWay;
    const looking = (async (): Promise<void> => {
      await before;
      const looked = await look(samples);
      facts.push(...looked.facts);
      isLasting &&= looked.isLasting;
    })();
    // Whoever waits for room or for the end hears of it.
    looking.catch(() => undefined);
    underWay = looking;
    return looking;
  };
  return {
    inspector: sampleInspector((sample) => {
      batch.push(sample);
      bytes += sample.bytes.length;
    }),
    room: () => {
      if (!isFull()) return undefined;
      const before = underWay;
      void start();
      return before;
    },
    end: async () => {
      if (batch.length > 0) void start();
      await underWay;
      return { facts, isLasting };
    },
  };
}
