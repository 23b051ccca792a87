// No key meets a nonce twice: whatever is encrypted by sealing files goes through the cipher under a nonce that nothing else has.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '@ringwall/bytes';
import { PAGE_BYTES } from '@ringwall/seal';
import { beginObject, RecordFrame } from '@ringwall/seal/engine';
import { afterEach, beforeEach, expect, test, vi, type MockInstance } from 'vitest';
import { sharedMemoryOf } from '../memory/index.ts';
import { ChunkQueue } from './chunk-queue.ts';
import { sealFiles, type SealSource } from './index.ts';
import type { SealJob } from './jobs.ts';
import { Relay } from './relay.ts';
import { SealingLane } from './sealing-lane.ts';

/** SHA-256 of the manifest, which each key is salted with and each record bound to. */
const BINDING_BYTES = 32;
const CHUNK_BYTES: number = 4 * PAGE_BYTES;
const OPTIONS = {
  recipients: [{ kind: 'key', key: new Uint8Array(32).fill(7) }],
  chunkBytes: CHUNK_BYTES,
  parent: { object: '00'.repeat(16), root: '00'.repeat(32) },
} as const;
/** Data, zeros, what is as in the parent, pages of all three, and a short chunk, over and over. */
const CHUNKS = 301;

let dir: string;
let target: number;
/** Whatever is given to a cipher comes from there, each time anew. */
let frames: MockInstance<RecordFrame['parametersOf']>;
beforeEach(() => {
  frames = vi.spyOn(RecordFrame.prototype, 'parametersOf');
  dir = mkdtempSync(join(tmpdir(), 'ringwall-nonces-'));
  target = openSync(join(dir, 'sealed'), 'w+');
});
afterEach(() => {
  frames.mockRestore();
  closeSync(target);
  rmSync(dir, { recursive: true });
});

/** Of each encryption, what its key is made of, and its nonce. */
function used(): readonly (readonly [of: string, nonce: string])[] {
  return frames.mock.results.map(({ value }) => {
    const { nonce, associatedData } = value;
    return [toHex(associatedData.subarray(0, BINDING_BYTES)), toHex(nonce)];
  });
}

function source(): SealSource & { readonly kept: Uint8Array } {
  const bytes = (CHUNKS - 1) * CHUNK_BYTES + 100;
  const contents = Buffer.alloc(bytes);
  const kept = new Uint8Array(Math.ceil(bytes / PAGE_BYTES / 8));
  for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
    const at = chunk * CHUNK_BYTES;
    if (chunk % 5 < 3)
      contents.fill(`chunk ${chunk},`, at, Math.min(bytes, at + (chunk % 2 === 0 ? CHUNK_BYTES : PAGE_BYTES)));
    if (chunk % 5 === 4 && chunk < CHUNKS - 1) kept[chunk >> 1] = (kept[chunk >> 1] ?? 0) | (0xf << ((chunk & 1) * 4));
  }
  return { place: sharedMemoryOf(contents), bytes, kept };
}

test('by one lane, in one object and in another of the same contents', async () => {
  const { object } = await sealFiles([source()], target, OPTIONS);
  const records = used().length;
  expect(records).toBeGreaterThan(CHUNKS / 2);
  expect((await sealFiles([source()], target, OPTIONS)).object).not.toBe(object);
  expect(used()).toHaveLength(2 * records);
  expect(new Set(used().map((each) => each.join(' '))).size).toBe(2 * records);
  expect(new Set(used().map(([of]) => of)).size).toBe(2);
});

test('by lanes that take turns: each record is encrypted once, by one of them', async () => {
  const { place, bytes, kept } = source();
  const { head, ...keys } = await beginObject({ ...OPTIONS, bytes }, 'none');
  const shared = new SharedArrayBuffer(kept.length);
  new Uint8Array(shared).set(kept);
  const relay = Relay.begin(head.length, keys.headLeaf);
  const regions = [{ place, offset: 0, bytes, kept: shared }];
  const job: SealJob = { kind: 'seal', keys, relay, queue: ChunkQueue.makeMemory(), object: target, regions, bytes };
  let lanes = Array.from({ length: 3 }, () => new SealingLane(job));
  while (lanes.length > 0) lanes = lanes.filter((lane) => lane.step());
  const records = new Relay(relay).get('records');
  expect(used()).toHaveLength(records);
  expect(new Set(used().map(([, nonce]) => nonce)).size).toBe(records);
  expect(readFileSync(join(dir, 'sealed')).length).toBe(new Relay(relay).get('at'));
});

test('by a lane that may not write before its end: it writes all of it then', async () => {
  const contents = Buffer.alloc(3 * CHUNK_BYTES, 'three chunks');
  const { head, ...keys } = await beginObject({ ...OPTIONS, bytes: contents.length }, 'none');
  const shared = Relay.begin(head.length, keys.headLeaf);
  const relay = new Relay(shared);
  const regions = [{ place: sharedMemoryOf(contents), offset: 0, bytes: contents.length }];
  const queue = ChunkQueue.makeMemory();
  const lane = new SealingLane({
    kind: 'seal',
    keys,
    relay: shared,
    queue,
    object: target,
    regions,
    bytes: contents.length,
  });
  relay.writing(() => {
    for (let chunk = 0; chunk < 3; chunk += 1) expect(lane.step()).toBe(true);
    expect(readFileSync(join(dir, 'sealed'))).toHaveLength(0);
  });
  expect(lane.step()).toBe(false);
  expect(readFileSync(join(dir, 'sealed'))).toHaveLength(relay.get('at'));
});
