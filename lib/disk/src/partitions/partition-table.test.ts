import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { attempt, mutated, seededNumbers } from '../../testing/hostile.ts';
import { CRC_START, crc32 } from '../checksum/crc.ts';
import { memorySource, type ByteSource } from '../source/byte-source.ts';
import { openPartition } from './partition.ts';
import { readPartitionTable } from './partition-table.ts';

const SECTOR = 512;
const LINUX = 0x83;
const EXTENDED = 0x05;

type Entry = readonly [type: number, first: number, sectors: number];

function disk(sectors: number): DataView {
  return new DataView(new ArrayBuffer(sectors * SECTOR));
}

function putTable(view: DataView, sector: number, ...entries: readonly Entry[]): void {
  const base = sector * SECTOR;
  view.setUint32(base + 0x1b8, 0xdeadbeef, true);
  for (const [index, [type, first, count]] of entries.entries()) {
    const at = base + 0x1be + index * 16;
    view.setUint8(at + 4, type);
    view.setUint32(at + 8, first, true);
    view.setUint32(at + 12, count, true);
  }
  view.setUint16(base + 0x1fe, 0xaa55, true);
}

const sourceOf = (view: DataView): ByteSource => memorySource(new Uint8Array(view.buffer));
const places = (view: DataView): string[] =>
  (readPartitionTable(sourceOf(view))?.partitions ?? []).map(
    ({ number, type, offset, length }) => `${number} ${type} ${offset / SECTOR}+${length / SECTOR}`,
  );

describe('readPartitionTable() on MBR', () => {
  test('reads primary partitions, and a chain of logical ones', () => {
    const view = disk(100);
    putTable(view, 0, [LINUX, 1, 9], [0x82, 10, 10], [EXTENDED, 20, 80]);
    putTable(view, 20, [LINUX, 1, 9], [EXTENDED, 10, 30]);
    putTable(view, 30, [LINUX, 2, 8], [EXTENDED, 40, 20]);
    putTable(view, 60, [LINUX, 1, 5]);
    expect(places(view)).toEqual(['1 83 1+9', '2 82 10+10', '3 05 20+80', '5 83 21+9', '6 83 32+8', '7 83 61+5']);
    const table = readPartitionTable(sourceOf(view));
    expect(table).toMatchObject({ scheme: 'mbr', id: 'deadbeef', sectorBytes: SECTOR });
    expect(table?.partitions[3]?.uuid).toBe('deadbeef-05');
  });

  test('refuses a chain that leads back', () => {
    const view = disk(100);
    putTable(view, 0, [EXTENDED, 20, 80]);
    putTable(view, 20, [LINUX, 1, 9], [EXTENDED, 10, 30]);
    putTable(view, 30, [LINUX, 2, 8], [EXTENDED, 0, 20]);
    expect(() => readPartitionTable(sourceOf(view))).toThrow(/leads back to itself/);
  });

  test('refuses a chain without end', () => {
    const view = disk(600);
    putTable(view, 0, [EXTENDED, 20, 580]);
    for (let link = 0; link < 500; link += 1) putTable(view, 20 + link, [LINUX, 1, 1], [EXTENDED, link + 1, 1]);
    expect(() => readPartitionTable(sourceOf(view))).toThrow(/more than 256 links/);
  });

  test('refuses a link beyond the disk, and one without a signature', () => {
    const beyond = disk(30);
    putTable(beyond, 0, [EXTENDED, 4000, 80]);
    expect(() => readPartitionTable(sourceOf(beyond))).toThrow(ParseError);
    const blank = disk(30);
    putTable(blank, 0, [EXTENDED, 20, 5]);
    expect(() => readPartitionTable(sourceOf(blank))).toThrow(/without a signature/);
  });

  test('takes no boot sector of a file system for a table', () => {
    const view = disk(2);
    putTable(view, 0, [LINUX, 1, 1]);
    view.setUint8(0x1be, 0x33);
    expect(readPartitionTable(sourceOf(view))).toBeUndefined();
    expect(readPartitionTable(memorySource(new Uint8Array(100)))).toBeUndefined();
  });

  test('opens a partition, and not beyond the disk', () => {
    const view = disk(10);
    view.setUint8(3 * SECTOR, 42);
    putTable(view, 0, [LINUX, 3, 2], [LINUX, 8, 3]);
    const [first, second] = readPartitionTable(sourceOf(view))?.partitions ?? [];
    expect(first && openPartition(sourceOf(view), first).read(0, 1)[0]).toBe(42);
    expect(() => second && openPartition(sourceOf(view), second)).toThrow(/partition 2 needs 1536 bytes/);
  });
});

interface GptHeader {
  readonly at: number;
  readonly other: number;
  readonly entriesAt: number;
}

const SECTORS = 100;
const ENTRIES = 4;

function putGpt(view: DataView, { at, other, entriesAt }: GptHeader, change?: (view: DataView) => void): void {
  const base = at * SECTOR;
  const bytes = new Uint8Array(view.buffer);
  bytes.set(Buffer.from('EFI PART'), base);
  view.setUint32(base + 8, 0x00010000, true);
  view.setUint32(base + 12, 92, true);
  view.setUint32(base + 24, at, true);
  view.setUint32(base + 32, other, true);
  view.setUint32(base + 40, 4, true);
  view.setUint32(base + 48, SECTORS - 4, true);
  bytes.fill(7, base + 56, base + 72);
  view.setUint32(base + 72, entriesAt, true);
  view.setUint32(base + 80, ENTRIES, true);
  view.setUint32(base + 84, 128, true);
  const entry = entriesAt * SECTOR + 128;
  bytes.fill(1, entry, entry + 16);
  bytes.set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], entry + 16);
  view.setUint32(entry + 32, 10, true);
  view.setUint32(entry + 40, 19, true);
  bytes.set(Buffer.from('röot', 'utf16le'), entry + 56);
  change?.(view);
  const entries = bytes.subarray(entriesAt * SECTOR, entriesAt * SECTOR + ENTRIES * 128);
  view.setUint32(base + 88, (crc32(CRC_START, entries) ^ CRC_START) >>> 0, true);
  view.setUint32(base + 16, 0, true);
  view.setUint32(base + 16, (crc32(CRC_START, bytes, base, base + 92) ^ CRC_START) >>> 0, true);
}

const PRIMARY: GptHeader = { at: 1, other: SECTORS - 1, entriesAt: 2 };
const BACKUP: GptHeader = { at: SECTORS - 1, other: 1, entriesAt: SECTORS - 3 };

function gptDisk(change?: (view: DataView) => void): DataView {
  const view = disk(SECTORS);
  putTable(view, 0, [0xee, 1, SECTORS - 1]);
  putGpt(view, PRIMARY, change);
  putGpt(view, BACKUP);
  return view;
}

describe('readPartitionTable() on GPT', () => {
  test('reads the entries in use', () => {
    const table = readPartitionTable(sourceOf(gptDisk()));
    expect(table).toEqual({
      scheme: 'gpt',
      id: '07070707-0707-0707-0707-070707070707',
      sectorBytes: SECTOR,
      partitions: [
        {
          number: 2,
          offset: 10 * SECTOR,
          length: 10 * SECTOR,
          type: '01010101-0101-0101-0101-010101010101',
          name: 'röot',
          uuid: '04030201-0605-0807-090a-0b0c0d0e0f10',
        },
      ],
      notes: [],
    });
  });

  test.each([
    ['a header changed', SECTOR + 40],
    ['an entry changed', 2 * SECTOR + 128 + 40],
    ['a signature gone', SECTOR],
  ])('reads the copy where the first does not hold: %s', (_, at) => {
    const view = gptDisk();
    view.setUint8(at, view.getUint8(at) ^ 1);
    const table = readPartitionTable(sourceOf(view));
    expect(table?.partitions[0]?.offset).toBe(10 * SECTOR);
    expect(table?.notes).toEqual([expect.stringMatching(/read from its copy at the end/)]);
  });

  test('says so where the copy does not hold, or differs', () => {
    const broken = gptDisk();
    broken.setUint8((SECTORS - 1) * SECTOR + 30, 1);
    expect(readPartitionTable(sourceOf(broken))?.notes).toEqual([expect.stringMatching(/copy .* does not hold/)]);
    const other = gptDisk((view) => view.setUint32(2 * SECTOR + 128 + 40, 29, true));
    putGpt(other, BACKUP);
    expect(readPartitionTable(sourceOf(other))?.notes).toEqual([expect.stringMatching(/says something else/)]);
  });

  test('refuses where neither holds, naming what is wrong with the first', () => {
    const view = gptDisk();
    view.setUint8(SECTOR + 40, 9);
    view.setUint8((SECTORS - 1) * SECTOR + 40, 9);
    expect(() => readPartitionTable(sourceOf(view))).toThrow(/HeaderCRC32/);
  });

  test.each<readonly [what: string, change: (view: DataView) => void, message: RegExp]>([
    ['entries of 64 bytes', (view) => view.setUint32(SECTOR + 84, 64, true), /SizeOfPartitionEntry 64/],
    ['more entries than anybody has', (view) => view.setUint32(SECTOR + 80, 2 ** 31, true), /NumberOfPartitionEntries/],
    ['a header larger than its sector', (view) => view.setUint32(SECTOR + 12, 513, true), /HeaderSize 513/],
    ['entries beyond 2^53', (view) => view.setUint32(SECTOR + 76, 2 ** 31, true), /PartitionEntryLBA/],
    ['another place than it says', (view) => view.setUint32(SECTOR + 24, 5, true), /MyLBA 5, expected 1/],
  ])('refuses %s', (_, change, message) => {
    const view = gptDisk(change);
    view.setUint8((SECTORS - 1) * SECTOR, 0);
    expect(() => readPartitionTable(sourceOf(view))).toThrow(message);
  });

  test('refuses a partition outside what may be used', () => {
    const view = gptDisk((changed) => changed.setUint32(2 * SECTOR + 128 + 32, 2, true));
    expect(() => readPartitionTable(sourceOf(view))).toThrow(/StartingLBA 2 to 19, expected within 4 to 96/);
  });

  test('an old table without a protective entry counts, as for Linux', () => {
    const view = gptDisk();
    putTable(view, 0, [LINUX, 1, 9]);
    expect(readPartitionTable(sourceOf(view))?.scheme).toBe('mbr');
    new Uint8Array(view.buffer).fill(0, 0, SECTOR);
    expect(readPartitionTable(sourceOf(view))?.scheme).toBe('gpt');
  });
});

test('no mutation of a table ends in another error', () => {
  const view = gptDisk();
  const chain = disk(100);
  putTable(chain, 0, [EXTENDED, 20, 80]);
  putTable(chain, 20, [LINUX, 1, 9], [EXTENDED, 10, 30]);
  putTable(chain, 30, [LINUX, 2, 8]);
  const random = seededNumbers(5);
  let read = 0;
  for (const image of [view, chain]) {
    const bytes = new Uint8Array(image.buffer);
    const spots = [0x1b0, 0x1c0, 0x1d0, SECTOR, SECTOR + 16, SECTOR + 64, SECTOR + 80, 20 * SECTOR + 0x1c0];
    for (let count = 0; count < 1000; count += 1) {
      if (attempt(() => readPartitionTable(memorySource(mutated(bytes, spots, random)))) !== undefined) read += 1;
    }
  }
  expect(read).toBeGreaterThan(0);
});
