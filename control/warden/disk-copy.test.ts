// A copy of a disk, by what its VMM says of it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DiskCopy } from './disk-copy.ts';

const BYTES = 2 ** 20;

let directory: string;
let copy: DiskCopy;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ringwall-disk-copy-'));
  writeFileSync(join(directory, 'disk'), Buffer.alloc(BYTES, 'on the disk, '));
  copy = await DiskCopy.open(join(directory, 'disk'), join(directory, 'copy'), BYTES);
});
afterEach(async () => {
  await copy[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

test('has what is named of the disk, and says of which pages it has nothing', async () => {
  await copy.take([
    { offset: 0, length: 4096 },
    { offset: BYTES - 65_536, length: 65_536 },
  ]);
  const [copied, disk] = ['copy', 'disk'].map((name) => readFileSync(join(directory, name)));
  expect(copied?.subarray(0, 4096)).toEqual(disk?.subarray(0, 4096));
  expect(copied?.subarray(4096, BYTES - 65_536).every((byte) => byte === 0)).toBe(true);
  expect(copied?.subarray(-65_536)).toEqual(disk?.subarray(-65_536));
  expect([...copy.untaken.subarray(0, 2), ...copy.untaken.subarray(-3)]).toEqual([0xfe, 0xff, 0xff, 0, 0]);
});

test.each([
  ['behind the end', { offset: BYTES, length: 4096 }],
  ['over the end', { offset: BYTES - 4096, length: 8192 }],
  ['far away', { offset: 2 ** 52, length: 2 ** 32 - 1 }],
])('refuses what is named %s', async (_, extent) => {
  await expect(copy.take([extent])).rejects.toMatchObject({ code: 'vmm-failed' });
  expect(copy.untaken.every((byte) => byte === 0xff)).toBe(true);
});
