import { ParseError, utf8 } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import {
  altered,
  guidOf,
  KIB,
  layout,
  le16,
  le32,
  le64,
  logEntry,
  MIB,
  vhdx,
  type LogWrite,
  type VhdxParts,
} from '../../../testing/image-maker.ts';
import { memorySource } from '../../source/byte-source.ts';
import type { DiskImage } from '../disk-image.ts';
import { openImage } from '../open-image.ts';
import { crc32c } from './crc32c.ts';

/** An entry of the block allocation table: a block, and where it lies. */
const present = (mebibyte: number): bigint => (BigInt(mebibyte) << 20n) + 6n;
const partly = (mebibyte: number): bigint => (BigInt(mebibyte) << 20n) + 7n;
const filled = (value: number): Uint8Array => new Uint8Array(MIB).fill(value);

const PLAIN: VhdxParts = {
  bat: [0n, present(4), 2n],
  blocks: 3,
  dataWriteGuid: 0x11,
  parts: { [4 * MIB]: filled(0xaa) },
  size: 5 * MIB,
};

function open(bytes: Uint8Array, parent?: Uint8Array): DiskImage {
  return openImage(memorySource(bytes), parent && { resolve: () => memorySource(parent) });
}

/** The first byte of each block. */
function firstBytes(image: DiskImage): (number | undefined)[] {
  return Array.from({ length: image.size / MIB }, (_, block) => image.read(block * MIB, 1)[0]);
}

test('crc32c() is that of RFC 3720', () => {
  expect(crc32c(utf8('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
});

test('openImage() reads blocks where the table says, and takes the second header or region table where the first is torn', () => {
  const bytes = vhdx(PLAIN);
  for (const torn of [bytes, altered(bytes, 128 * KIB + 20, le32(7)), altered(bytes, 192 * KIB + 20, le32(7))]) {
    expect(firstBytes(open(torn))).toEqual([0, 0xaa, 0]);
  }
  expect(open(bytes).nextData(0)).toEqual({ offset: MIB, length: MIB });
});

describe('openImage() replays the log of a VHDX in memory', () => {
  // What the writer had in mind: a table whose first block lies at 5 MiB, and a block of zeros in place of the second.
  const table = layout(4096, { 0: le64(present(5), 2, present(4)) });
  const writes: LogWrite[] = [{ at: 3 * MIB, sector: table }];
  const withLog = (log: Uint8Array, size: number = 6 * MIB): Uint8Array =>
    vhdx({ ...PLAIN, logGuid: 5, log, parts: { [4 * MIB]: filled(0xaa), [5 * MIB]: filled(0xbb) }, size });

  test('and shows what it finds there', () => {
    const bytes = withLog(logEntry(7, 0, 5, writes, 6 * MIB));
    const before = bytes.slice();
    const image = open(bytes);
    expect(firstBytes(image)).toEqual([0xbb, 0, 0xaa]);
    expect(image.facts['logReplayed']).toBe(true);
    expect(Buffer.compare(bytes, before)).toBe(0);
  });

  test('in the order of its entries, also where it goes around its end', () => {
    const first = logEntry(
      7,
      MIB - 8192,
      5,
      [
        { at: 3 * MIB, sector: new Uint8Array(4096) },
        { at: 4 * MIB, zeros: 4096 },
      ],
      6 * MIB,
    );
    const second = logEntry(8, MIB - 8192, 5, writes, 6 * MIB);
    // The first, of 8 KiB, ends where the log does; the second begins at the log's start.
    const log = layout(MIB, { [MIB - first.length]: first, 0: second });
    expect(first.length).toBe(8192);
    const image = open(withLog(log));
    expect(firstBytes(image)).toEqual([0xbb, 0, 0]);
    expect(image.read(2 * MIB + 4096, 1)[0]).toBe(0xaa);
  });

  test('but for entries of an older log, torn ones, and what follows a gap', () => {
    const other: LogWrite[] = [{ at: 3 * MIB, sector: new Uint8Array(4096) }];
    const entry = logEntry(7, 0, 5, writes, 6 * MIB);
    for (const stale of [
      logEntry(8, 0, 6, other, 6 * MIB),
      logEntry(9, 0, 5, other, 6 * MIB),
      altered(logEntry(8, 0, 5, other, 6 * MIB), 5000, le32(1)),
    ]) {
      const log = layout(MIB, { 0: entry, [entry.length]: stale });
      expect(firstBytes(open(withLog(log))).at(0)).toBe(0xbb);
    }
  });

  test('and refuses an image whose log is gone, or that is shorter than its log says', () => {
    expect(() => open(withLog(new Uint8Array(MIB)))).toThrow(/^log has no valid entry/);
    expect(() => open(withLog(logEntry(7, 0, 5, writes, 7 * MIB)))).toThrow(/^log flushed_file_offset 7340032/);
  });

  test.each<[string, (entry: Uint8Array) => Uint8Array, RegExp]>([
    ['a descriptor of another entry', (entry) => altered(entry, 64 + 24, le64(9)), /^log descriptor sequence_number 9/],
    ['a descriptor of no kind', (entry) => altered(entry, 64, utf8('what')), /^log descriptor signature/],
    ['a write askew', (entry) => altered(entry, 64 + 16, le64(3 * MIB + 1)), /^log descriptor file_offset/],
    ['a write at 2^63', (entry) => altered(entry, 64 + 16, le64(2n ** 63n)), /^log descriptor file_offset/],
    ['a write beyond the file', (entry) => altered(entry, 64 + 16, le64(2 ** 40)), /^patch needs 4096 bytes/],
    ['data of another entry', (entry) => altered(entry, 4096 + 4, le32(1)), /^log data sequence/],
  ])('and refuses %s', (_, change, message) => {
    const entry = change(logEntry(7, 0, 5, writes, 6 * MIB));
    const good = altered(entry, 4, le32(crc32c(entry, 4)));
    expect(() => open(withLog(good))).toThrow(message);
    expect(() => open(withLog(good))).toThrow(ParseError);
  });

  test('in time that does not grow with lies about the length of entries', () => {
    const lies = Array.from({ length: 256 }, (_, index) => {
      const header = logEntry(7, 0, 5, [], 6 * MIB);
      return [index * 4096, altered(header, 8, le32(MIB))] as const;
    });
    expect(() => open(withLog(layout(MIB, Object.fromEntries(lies))))).toThrow(/entries overlap/);
  });
});

describe('openImage() reads a differencing VHDX', () => {
  const ratio = 4096;
  const bat = Array.from({ length: ratio + 1 }, () => 0n)
    .with(0, partly(4))
    .with(1, 0n)
    .with(2, present(5))
    .with(ratio, present(6));
  // Sectors 1, 2 and 15 of the first block are its own.
  const bitmap = layout(MIB, { 0: new Uint8Array([0b0000_0110, 0b1000_0000]) });
  const child = vhdx({
    ...{ bat, blocks: 3, dataWriteGuid: 0x22, size: 7 * MIB, parent: { guid: 0x11, name: 'base.vhdx' } },
    parts: { [4 * MIB]: filled(0xc1), [5 * MIB]: filled(0xc3), [6 * MIB]: bitmap },
  });
  const parent = vhdx({ ...PLAIN, bat: [present(4), present(4), present(4)] });

  test('sector by sector where a block is partly its own', () => {
    const image = open(child, parent);
    const sectors = Array.from({ length: 17 }, (_, sector) => image.read(sector * 512, 1)[0]);
    expect(sectors.flatMap((value, sector) => (value === 0xc1 ? [sector] : []))).toEqual([1, 2, 15]);
    expect(firstBytes(image)).toEqual([0xaa, 0xaa, 0xc3]);
    expect(image.references).toMatchObject([
      { kind: 'parent', name: 'base.vhdx', field: 'parent locator relative_path' },
    ]);
  });

  test('upon that very parent', () => {
    const other = vhdx({ ...PLAIN, dataWriteGuid: 0x33 });
    expect(() => open(child, other)).toThrow(
      `parent_linkage says ${guidOf(0x11)}, but the parent that was given has ${guidOf(0x33)}`,
    );
    expect(() => open(child)).toThrow(/names another file \(parent\): "base.vhdx"/);
  });
});

describe('openImage() refuses a VHDX', () => {
  const bytes = vhdx(PLAIN);
  /** Of both headers, or of the region tables, with their checksums made good. */
  const lie = (structure: 'head' | 'regi', at: number, change: Uint8Array): Uint8Array => {
    const copy = bytes.slice();
    const places = structure === 'head' ? [64 * KIB, 128 * KIB] : [192 * KIB, 256 * KIB];
    const length = structure === 'head' ? 4096 : 64 * KIB;
    for (const place of places) {
      copy.set(change, place + at);
      copy.set(le32(crc32c(copy.subarray(place, place + length), 4)), place + 4);
    }
    return copy;
  };

  test.each<[string, Uint8Array, RegExp]>([
    ['of version 2', lie('head', 66, le16(2)), /^version 2/],
    ['with a log of 4 GiB', lie('head', 68, le32(4095 * MIB)), /^log_length 4293918720/],
    ['with a log at its start', lie('head', 72, le64(0)), /^log_offset 0/],
    ['with a log beyond its end', lie('head', 72, le64(2 ** 40)), /^log_offset says/],
    ['with a region beyond its end', lie('regi', 16 + 16, le64(2 ** 40)), /^region file_offset says/],
    [
      'with a region that is its log',
      lie('regi', 16 + 16, le64(MIB)),
      /^region file_offset 1048576, where the log lies/,
    ],
    ['with a required region that nobody knows', lie('regi', 16, le32(1)), /^region guid 00000001/],
    ['with 2^32 regions', lie('regi', 8, le32(2 ** 32 - 1)), /^entry_count 4294967295/],
    ['with blocks of 3 MiB', altered(bytes, 2 * MIB + 64 * KIB, le32(3 * MIB)), /^block_size 3145728/],
    ['of 2^63 bytes', altered(bytes, 2 * MIB + 68 * KIB, le64(2n ** 63n)), /^virtual_disk_size/],
    ['of more than its table reaches', altered(bytes, 2 * MIB + 68 * KIB, le64(2n ** 45n)), /^region length/],
    ['with sectors of 520 bytes', altered(bytes, 2 * MIB + 76 * KIB, le32(520)), /^logical_sector_size 520/],
    ['with an item beyond its region', altered(bytes, 2 * MIB + 32 + 16, le32(MIB)), /^metadata item offset/],
    [
      'with a block beyond its end',
      altered(bytes, 3 * MIB + 8, le64(present(2 ** 30))),
      /^block allocation table entry says/,
    ],
    [
      'with a block that is its log',
      altered(bytes, 3 * MIB + 8, le64(present(1))),
      /^block allocation table entry 1048576, where the log/,
    ],
    ['with a block in no known state', altered(bytes, 3 * MIB + 8, le64(5)), /^payload block state 5/],
    [
      'with a block partly of a parent that it has not',
      altered(bytes, 3 * MIB + 8, le64(partly(4))),
      /^payload block state 7/,
    ],
    ['with reserved bits', altered(bytes, 3 * MIB + 8, le64(present(4) + 8n)), /^block allocation table entry 0x/],
  ])('%s', (_, image, message) => {
    const read = (): unknown => firstBytes(open(image));
    expect(read).toThrow(message);
    expect(read).toThrow(ParseError);
  });
});
