// Copies of memory that changes: what they have, what of them takes room, and what they say of a file that is cut.
import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { borrowCrew, type Crew } from '../threads/index.ts';
import { MemoryCopy, viewsOf, type SharedMemory } from './index.ts';

const MIB = 2 ** 20;
/** More than one thread's worth, and no whole number of pieces. */
const BYTES: number = 70 * MIB + 8192;

let directory: string;
let file: number;
let crew: Crew;
beforeEach(() => {
  crew = borrowCrew();
  directory = mkdtempSync(join(tmpdir(), 'ringwall-test-'));
  file = openSync(join(directory, 'memory'), 'w+');
  ftruncateSync(file, BYTES);
});
afterEach(() => {
  crew[Symbol.dispose]();
  closeSync(file);
  rmSync(directory, { recursive: true, force: true });
});

function contentsOf(memory: SharedMemory): Buffer {
  return Buffer.concat([...viewsOf(memory, 0, BYTES)].map(({ view }) => Buffer.from(view)));
}

describe('MemoryCopy', () => {
  test('has what the file has, after each refresh', async () => {
    writeSync(file, randomBytes(3 * MIB), 0, 3 * MIB, 5 * MIB - 77);
    const copy = await MemoryCopy.make({ crew, descriptor: file, bytes: BYTES, maxBytes: BYTES + MIB });
    const isSame = (): boolean => contentsOf(copy.memory).equals(readFileSync(join(directory, 'memory')));
    expect(isSame()).toBe(true);
    writeSync(file, Buffer.from('once more'), 0, 9, BYTES - 9);
    writeSync(file, Buffer.alloc(MIB), 0, MIB, 5 * MIB);
    await copy.refresh();
    expect(isSame()).toBe(true);
  });

  test('uses no more than it may, in regions of 2 MiB, of which those full of zeros take nothing', async () => {
    writeSync(file, randomBytes(4 * MIB), 0, 4 * MIB, 0);
    const make = (maxBytes: number): Promise<MemoryCopy> =>
      MemoryCopy.make({ crew, descriptor: file, bytes: BYTES, maxBytes });
    await expect(make(4 * MIB - 1)).rejects.toMatchObject({ code: 'host-full' });
    const copy = await make(4 * MIB);
    await copy.refresh();
    writeSync(file, Buffer.from('one more'), 0, 8, 10 * MIB);
    await expect(copy.refresh()).rejects.toMatchObject({ code: 'host-full' });
  });

  test('says which pages are zeros without a look: all of regions that were never used', async () => {
    writeSync(file, Buffer.from('something'), 0, 9, 3 * MIB);
    const { zeros } = await MemoryCopy.make({ crew, descriptor: file, bytes: BYTES, maxBytes: BYTES });
    const region = (2 * MIB) / 4096 / 8;
    expect(zeros.subarray(0, region).every((byte) => byte === 0xff)).toBe(true);
    expect(zeros.subarray(region, 2 * region).every((byte) => byte === 0)).toBe(true);
    expect(zeros.subarray(2 * region).every((byte) => byte === 0xff)).toBe(true);
  });

  test('of a file that becomes shorter fails, and says so', async () => {
    const copy = await MemoryCopy.make({ crew, descriptor: file, bytes: BYTES, maxBytes: BYTES });
    ftruncateSync(file, BYTES - 4096);
    await expect(copy.refresh()).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/ends at byte/),
    });
  });

  test('of memory that was copied before has what has changed since, and says which pages did not', async () => {
    writeSync(file, randomBytes(3 * MIB), 0, 3 * MIB, 5 * MIB);
    writeSync(file, Buffer.from('of the first'), 0, 12, 40 * MIB);
    const options = { crew, descriptor: file, bytes: BYTES, maxBytes: BYTES + MIB };
    const first = await MemoryCopy.make(options);
    const { digests: before } = await first.digest();

    const changed = [0, 5 * MIB, 8 * MIB - 4096, BYTES - 4096];
    for (const at of changed) writeSync(file, Buffer.from('changed'), 0, 7, at + 99);
    writeSync(file, Buffer.alloc(4096), 0, 4096, 40 * MIB);
    const second = await MemoryCopy.make({ ...options, before });
    for (const at of [7 * MIB, 60 * MIB]) writeSync(file, Buffer.from('meanwhile'), 0, 9, at);
    await second.refresh();
    const { kept, digests } = await second.digest();
    const pagesOf = (bits: Uint8Array): number[] =>
      Array.from({ length: BYTES / 4096 }, (_, page) => page).filter(
        (page) => ((bits[page >> 3] ?? 0) >> (page & 7)) % 2 === 0,
      );
    const pages = [...changed, 7 * MIB, 40 * MIB, 60 * MIB].map((at) => at / 4096).toSorted((a, b) => a - b);
    expect(pagesOf(kept)).toEqual(pages);
    const now = readFileSync(join(directory, 'memory'));
    const copied = contentsOf(second.memory);
    for (const page of pages) {
      const [from, to] = [page * 4096, page * 4096 + 4096];
      expect(copied.subarray(from, to).equals(now.subarray(from, to)), `page ${page}`).toBe(true);
    }
    // What is as it was is not there, and is not said to be zero.
    const [isAsBefore, isZero] = [6 * MIB, 30 * MIB].map((at) => ((second.zeros[at / 4096 / 8] ?? 0) & 1) === 1);
    expect([isAsBefore, isZero]).toEqual([false, true]);
    expect(copied.subarray(6 * MIB, 6 * MIB + 4096).equals(Buffer.alloc(4096))).toBe(true);
    // And again, over the second: nothing has changed since.
    const third = await MemoryCopy.make({ ...options, before: digests });
    expect(pagesOf((await third.digest()).kept)).toEqual([]);
    expect(contentsOf(third.memory).every((byte) => byte === 0)).toBe(true);
  });
});
