import { randomFillSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { compressChunk, unpackChunk } from './compression.ts';

const CHUNK_BYTES = 1024 * 1024;
const random = (): Uint8Array => randomFillSync(new Uint8Array(CHUNK_BYTES));
const text = (bytes: number): Uint8Array => new Uint8Array(Buffer.alloc(bytes, 'a line of some log\n'));

describe('compressChunk()', () => {
  it.each([
    ['text', text(CHUNK_BYTES)],
    ['a small text', text(100)],
    ['text behind what is random', Uint8Array.of(...random().subarray(0, 1000), ...text(9000))],
  ])('makes %s smaller', (_, chunk) => {
    const packed = compressChunk(chunk);
    expect(packed?.length).toBeLessThan(chunk.length);
    expect(unpackChunk(packed ?? new Uint8Array(), CHUNK_BYTES)).toEqual(chunk);
  });

  it.each([0, 100_000, CHUNK_BYTES - 65_536])('sees 64 KiB of text at %i among what is random', (at) => {
    const chunk = random();
    chunk.set(text(65_536), at);
    expect(compressChunk(chunk)?.length).toBeLessThan(CHUNK_BYTES - 60_000);
  });

  it('leaves what is random as it is', () => {
    expect(compressChunk(random())).toBeUndefined();
    expect(compressChunk(random().subarray(0, 1000))).toBeUndefined();
    expect(compressChunk(new Uint8Array())).toBeUndefined();
  });
});
