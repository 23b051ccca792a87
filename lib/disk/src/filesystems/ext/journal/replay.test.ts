import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { fixture } from '../../../../testing/fixtures.ts';
import { memorySource } from '../../../source/byte-source.ts';
import type { FileSystem } from '../../file-system.ts';
import { openExt } from '../ext.ts';
import { COMMIT_BLOCK, DESCRIPTOR_BLOCK } from './journal-records.ts';
import { JOURNAL_MAGIC } from './journal-superblock.ts';

const BLOCK = 1024;
const NEEDS_RECOVERY_AT = 1024 + 0x60;
const NEEDS_RECOVERY = 0x4;
const SUPERBLOCK_TYPE = 4;

const open = (image: Uint8Array): FileSystem => openExt(memorySource(image));
const late = (system: FileSystem): string[] | undefined => {
  const folder = system.root.lookup('late');
  return folder && [...folder.entries()].map(({ name }) => name);
};

/** Offsets of the journal's own blocks of a type. */
function recordsOf(image: Uint8Array, type: number): number[] {
  const view = new DataView(image.buffer);
  const found: number[] = [];
  for (let at = 0; at < image.length; at += BLOCK) {
    if (view.getUint32(at) === JOURNAL_MAGIC && view.getUint32(at + 4) === type) found.push(at);
  }
  return found;
}

function changed(name: string, change: (image: Uint8Array) => void): Uint8Array {
  const image = fixture(name);
  change(image);
  return image;
}

const flip = (image: Uint8Array, at: number): void => {
  image[at] = (image[at] ?? 0) ^ 1;
};

describe.each(['ext4-journal', 'ext4-journal-checked'])('the journal of %s', (name) => {
  test('is replayed: what was committed is there, what was removed is not', () => {
    const system = open(fixture(name));
    expect(system.notes).toEqual([expect.stringMatching(/replayed in memory: [1-9]\d* transactions, \d+ blocks/)]);
    expect(late(system)?.length).toBe(50);
    const file = system.root.lookup('late')?.lookup('file-20');
    expect(Buffer.from(file?.open().read(0, file.size) ?? []).toString()).toBe('late 20\nagain\n');
  });

  test('a transaction without its commit never happened', () => {
    const image = changed(name, (bytes) => {
      const last = recordsOf(bytes, COMMIT_BLOCK).at(-1) ?? 0;
      bytes.fill(0, last, last + BLOCK);
    });
    expect(late(open(image))?.length).toBe(60);
    const none = changed(name, (bytes) => {
      for (const at of recordsOf(bytes, COMMIT_BLOCK)) flip(bytes, at);
    });
    const system = open(none);
    expect(late(system)).toBeUndefined();
    expect(system.notes).toEqual([expect.stringMatching(/0 transactions, 0 blocks/)]);
  });

  test('a log of another sequence is not of this journal', () => {
    const image = changed(name, (bytes) => flip(bytes, (recordsOf(bytes, DESCRIPTOR_BLOCK)[0] ?? 0) + 11));
    expect(open(image).notes).toEqual([expect.stringMatching(/0 transactions/)]);
  });

  test('where it is not on this disk, that is said', () => {
    const image = changed('ext4-journal', (bytes) => bytes.fill(0, 1024 + 0xe0, 1024 + 0xe4));
    expect(open(image).notes).toEqual(['the journal is on another device, and was not replayed']);
    expect(late(open(image))).toBeUndefined();
  });
});

test('a journal that needs no recovery is left alone', () => {
  const image = changed('ext4-journal', (bytes) => {
    bytes[NEEDS_RECOVERY_AT] = (bytes[NEEDS_RECOVERY_AT] ?? 0) & ~NEEDS_RECOVERY;
  });
  expect(open(image).notes).toEqual([]);
});

test.each<readonly [what: string, at: (image: Uint8Array) => number, message: RegExp]>([
  ['superblock', (image) => (recordsOf(image, SUPERBLOCK_TYPE)[0] ?? 0) + 0x40, /journal s_checksum/],
  [
    'descriptor',
    (image) => (recordsOf(image, DESCRIPTOR_BLOCK)[0] ?? 0) + 1000,
    /journal checksum of descriptor block 1 /,
  ],
  ['commit', (image) => (recordsOf(image, COMMIT_BLOCK)[0] ?? 0) + 100, /journal checksum of commit block \d+ /],
  ['data', (image) => (recordsOf(image, COMMIT_BLOCK)[0] ?? 0) - BLOCK + 9, /journal data checksum of block \d+/],
])('names what has a wrong checksum: %s', (_, at, message) => {
  const image = changed('ext4-journal-checked', (bytes) => flip(bytes, at(bytes)));
  expect(() => open(image)).toThrow(ParseError);
  expect(() => open(image)).toThrow(message);
});

test.each<readonly [what: string, at: number, value: number, message: RegExp]>([
  ['blocks of another size', 0x0c, 4096, /journal s_blocksize 4096, expected 1024/],
  ['more blocks than it has', 0x10, 100_000, /journal s_maxlen 100000/],
  ['a log that begins in its superblock', 0x14, 0, /journal s_first 0/],
  ['a log that begins behind its end', 0x1c, 60_000, /journal s_start 60000/],
  ['unknown features', 0x28, 0x8000_0000, /journal s_feature_incompat/],
])('refuses %s', (_, at, value, message) => {
  const image = changed('ext4-journal', (bytes) => {
    new DataView(bytes.buffer).setUint32((recordsOf(bytes, SUPERBLOCK_TYPE)[0] ?? 0) + at, value);
  });
  expect(() => open(image)).toThrow(ParseError);
  expect(() => open(image)).toThrow(message);
});

test('refuses a copy of a block that the file system does not have', () => {
  const image = changed('ext4-journal', (bytes) => {
    new DataView(bytes.buffer).setUint32((recordsOf(bytes, DESCRIPTOR_BLOCK)[0] ?? 0) + 12, 99_999);
  });
  expect(() => open(image)).toThrow(/journal tag 99999, expected a block below 4096/);
});
