// Copies of memory that changes: what they have, what of them takes room, and what they say of a file that is cut.
import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MemoryCopy, viewsOf, type SharedMemory } from './index.ts';

const MIB = 2 ** 20;
/** More than one thread's worth, and no whole number of pieces. */
const BYTES: number = 70 * MIB + 8192;

let directory: string;
let file: number;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwall-test-'));
  file = openSync(join(directory, 'memory'), 'w+');
  ftruncateSync(file, BYTES);
});
afterEach(() => {
  closeSync(file);
  rmSync(directory, { recursive: true, force: true });
});

function contentsOf(memory: SharedMemory): Buffer {
  return Buffer.concat([...viewsOf(memory, 0, BYTES)].map(({ view }) => Buffer.from(view)));
}

describe('MemoryCopy', () => {
  test('has what the file has, after each refresh, and says how much was not as before', async () => {
    writeSync(file, randomBytes(3 * MIB), 0, 3 * MIB, 5 * MIB - 77);
    await using copy = await MemoryCopy.make({ descriptor: file, bytes: BYTES, maxBytes: BYTES });
    expect(contentsOf(copy.memory).equals(readFileSync(join(directory, 'memory')))).toBe(true);
    expect(await copy.refresh()).toBe(0);

    writeSync(file, Buffer.from('once more'), 0, 9, BYTES - 9);
    writeSync(file, Buffer.alloc(MIB), 0, MIB, 5 * MIB);
    expect(await copy.refresh()).toBeGreaterThan(MIB - 1);
    expect(contentsOf(copy.memory).equals(readFileSync(join(directory, 'memory')))).toBe(true);
    expect(await copy.refresh()).toBe(0);
  });

  test('holds no more than it may, of which zeros are nothing', async () => {
    writeSync(file, randomBytes(4 * MIB), 0, 4 * MIB, 0);
    const make = (maxBytes: number): Promise<MemoryCopy> =>
      MemoryCopy.make({ descriptor: file, bytes: BYTES, maxBytes });
    await expect(make(MIB)).rejects.toMatchObject({ code: 'host-full' });
    await using copy = await make(BYTES / 2);
    expect(await copy.refresh()).toBe(0);
  });

  test('of a file that becomes shorter fails, and says so', async () => {
    await using copy = await MemoryCopy.make({ descriptor: file, bytes: BYTES, maxBytes: BYTES });
    ftruncateSync(file, BYTES - 4096);
    await expect(copy.refresh()).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/ends at byte/),
    });
  });
});
