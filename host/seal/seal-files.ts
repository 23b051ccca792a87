// Seals files into one object with all cores: docs/sealed-format.md. What it writes is what `sealStream()` of @ringwall/seal would.
import { Writer, toHex } from '@ringwall/bytes';
import { DEFAULT_CHUNK_BYTES, SealError, type ObjectOptions, type Part, type SealedSummary } from '@ringwall/seal';
import { beginObject, END_BYTES, RecordFrame, renderHeader, TAG_BYTES, type ObjectKeys } from '@ringwall/seal/engine';
import { sealingCipher } from './aead.ts';
import { ChunkQueue } from './chunk-queue.ts';
import type { Region, SealJob } from './jobs.ts';
import type { Place } from './place.ts';
import { Relay } from './relay.ts';
import { runLanes, type LaneOptions } from './run-lanes.ts';
import { writeAt } from './whole-io.ts';

/** Words of 32 bits count them, and each lane claims one that is not there. */
const MAX_CHUNKS: number = 2 ** 31 - 2 ** 10;

export interface SealSource {
  /** Of its part; one source alone may have none, and is the contents then. */
  readonly name?: string;
  readonly place: Place;
  readonly bytes: number;
  /** A bit for each page of 4 KiB, the lowest first: those as in the parent, at the same place. They are not stored. */
  readonly kept?: Uint8Array;
  /** As `kept`: those that are known to be zero, which nobody need read. */
  readonly zeros?: Uint8Array;
}

export interface SealFilesOptions extends Omit<ObjectOptions, 'bytes' | 'parts'>, LaneOptions {
  /** By Zstandard. Sizes then tell of the contents: not for memory of machines. */
  readonly compress?: boolean;
}

export interface SealedFiles extends SealedSummary {
  readonly parts: readonly Part[];
  /** Of the object. */
  readonly stored: number;
}

/**
 * Writes to `target`, an empty file, from its beginning; who wants it on disk syncs it. Throws SealError, what node:fs throws, or the
 * signal's reason: what was written is no object then.
 */
export async function sealFiles(
  sources: readonly SealSource[],
  target: number,
  options: SealFilesOptions,
): Promise<SealedFiles> {
  const { compress = false, chunkBytes = DEFAULT_CHUNK_BYTES } = options;
  const { parts, regions, bytes } = placed(sources, chunkBytes);
  if (bytes / chunkBytes > MAX_CHUNKS) throw new SealError('limit', `more than ${String(MAX_CHUNKS)} chunks`);
  const { head, ...keys } = await beginObject({ ...options, bytes, parts }, compress ? 'zstd' : 'none');
  writeAt(target, head, 0);
  const relay = Relay.begin(head.length, keys.headLeaf);
  const queue = ChunkQueue.makeMemory();
  const job: SealJob = { kind: 'seal', keys, relay, queue, object: target, regions, bytes };
  await runLanes(job, options);
  const done = new Relay(relay);
  const [at, root] = [done.get('at'), done.root()];
  const end = renderEnd(keys, bytes, root);
  writeAt(target, end, at);
  return { object: keys.manifest.object, bytes, root: toHex(root), parts, stored: at + end.length };
}

/** One behind the other, each at a chunk. */
function placed(
  sources: readonly SealSource[],
  chunkBytes: number,
): { readonly parts: readonly Part[]; readonly regions: readonly Region[]; readonly bytes: number } {
  const parts: Part[] = [];
  const regions: Region[] = [];
  let end = 0;
  for (const { name, place, bytes, kept, zeros } of sources) {
    const offset = Math.ceil(end / chunkBytes) * chunkBytes;
    if (name !== undefined) parts.push({ name, offset, bytes });
    regions.push({
      ...{ place, offset, bytes },
      ...(kept === undefined ? {} : { kept: shared(kept) }),
      ...(zeros === undefined ? {} : { zeros: shared(zeros) }),
    });
    end = offset + bytes;
  }
  return { parts, regions, bytes: end };
}

function renderEnd(keys: ObjectKeys, bytes: number, root: Uint8Array): Uint8Array {
  const { manifest, binding } = keys;
  const header = renderHeader({ type: 'end', chunks: 0, bytes: END_BYTES + TAG_BYTES });
  const index = Math.ceil(bytes / manifest.chunkBytes);
  const cipher = sealingCipher(keys, new RecordFrame(manifest, binding).parametersOf(header, index, root));
  const ciphertext = cipher.update(new Writer().u64be(BigInt(bytes)).finish());
  cipher.final();
  return Buffer.concat([header, root, ciphertext, cipher.getAuthTag()]);
}

function shared(bytes: Uint8Array): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(bytes.length);
  new Uint8Array(memory).set(bytes);
  return memory;
}
