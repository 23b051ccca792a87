import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { altered, be32, be64, KIB, MIB, qcow2 } from '../../../testing/image-maker.ts';
import { DiskError } from '../../disk-error.ts';
import { memorySource, type ByteSource } from '../../source/byte-source.ts';
import { openImage, parseImageHeader } from '../open-image.ts';

const CLUSTER = 64 * KIB;
const good = qcow2();

function readAll(bytes: Uint8Array): Uint8Array {
  return openImage(memorySource(bytes)).read(0, MIB);
}

/** Header extensions, then a backing file's name behind them. */
function withBacking(name: string, format: string): Uint8Array {
  const text = new TextEncoder().encode(name);
  const extension = new Uint8Array(16);
  extension.set(be32(0xe2792aca, format.length));
  extension.set(new TextEncoder().encode(format), 8);
  const bytes = altered(altered(good, 112, extension), 256, text);
  return altered(bytes, 8, new Uint8Array([...be64(256), ...be32(text.length)]));
}

test('openImage() reads the cluster where the tables say, and zeros elsewhere', () => {
  const image = openImage(memorySource(good));
  expect([...image.read(CLUSTER - 1, 2)]).toEqual([0, 0x5a]);
  expect([...image.read(2 * CLUSTER - 1, 2)]).toEqual([0x5a, 0]);
  expect(image.nextData(0)).toEqual({ offset: CLUSTER, length: CLUSTER });
  expect(image.nextData(2 * CLUSTER)).toBeUndefined();
});

describe('openImage() refuses a QCOW2', () => {
  test.each<[string, number, Uint8Array, RegExp]>([
    ['of version 1', 4, be32(1), /^version 1, expected 2 or 3/],
    ['of version 4', 4, be32(4), /^version 4/],
    ['with clusters of 256 bytes', 20, be32(8), /^cluster_bits 8, expected 9..21/],
    ['with clusters of 4 GiB', 20, be32(32), /^cluster_bits 32/],
    ['of 2^63 bytes', 24, be64(2n ** 63n), /^size 9223372036854775808, expected at most/],
    ['of more than its L1 table reaches', 24, be64(2n ** 40n), /^l1_size 1, expected at least 2048/],
    ['with an unknown encryption', 32, be32(3), /^crypt_method 3/],
    ['with LUKS but no header for it', 32, be32(2), /^crypt_method 2, expected an extension/],
    ['with an L1 table of 32 GiB', 36, be32(2 ** 32 - 1), /^l1_size makes 34359738360/],
    ['with an L1 table beyond its end', 40, be64(2 ** 40), /^l1_table_offset says 8 bytes at 1099511627776/],
    ['with an L1 table askew', 40, be64(CLUSTER + 8), /^l1_table_offset 65544, expected a multiple/],
    ['whose L1 table is its header', 40, be64(0), /^l1_table_offset 0, where the header lies/],
    ['whose refcount table is its L1 table', 48, be64(CLUSTER), /^refcount_table_offset 65536, where the L1 table/],
    ['with a refcount table of terabytes', 56, be32(2 ** 31), /^refcount_table_clusters makes/],
    ['with 2^32 snapshots', 60, be32(2 ** 32 - 1), /^nb_snapshots makes 4294967295/],
    ['with snapshots that are not there', 60, new Uint8Array([...be32(1), ...be64(2 ** 40)]), /^snapshots_offset/],
    ['with an unknown incompatible feature', 72, be64(32), /^incompatible_features has bits 0x20/],
    ['whose extended L2 entries say two things at once', 72, be64(16), /^L2 sub-cluster bitmap 0x80000000/],
    ['with refcounts of 128 bits', 96, be32(7), /^refcount_order 7/],
    ['with a header longer than a cluster', 100, be32(CLUSTER + 8), /^header_length 65544/],
    ['with a header of no length', 100, be32(0), /^header_length 0/],
    ['with an unknown compression', 104, new Uint8Array([2]), /^compression_type 2/],
    ['with zstd that no feature announces', 104, new Uint8Array([1]), /^compression_type 1, expected 0/],
    [
      'with a backing file named beyond its cluster',
      8,
      new Uint8Array([...be64(CLUSTER), ...be32(4)]),
      /^backing_file_offset 65536/,
    ],
    [
      'with a backing file named by 2^32 bytes',
      8,
      new Uint8Array([...be64(256), ...be32(2 ** 32 - 1)]),
      /^backing_file_size 4294967295/,
    ],
    ['with an extension that does not end', 112, be32(0xe2792aca, 2 ** 32 - 1), /^extension needs 4294967295 bytes/],
    ['with an L2 table beyond its end', CLUSTER, be64(2n ** 40n), /^L1 entry says 65536 bytes at 1099511627776/],
    [
      'with an L2 table askew',
      CLUSTER,
      be64(CLUSTER + 512),
      /^L1 entry 0x10200, expected the offset of a whole cluster/,
    ],
    ['whose L2 table is its L1 table', CLUSTER, be64(CLUSTER), /^L1 entry 65536, where the L1 table lies/],
    ['with reserved bits in an L1 entry', CLUSTER, be64(2n ** 56n + BigInt(2 * CLUSTER)), /^L1 entry 0x1000000000200/],
    ['with a cluster beyond its end', 2 * CLUSTER, be64(2n ** 50n), /^L2 entry says 65536 bytes at 1125899906842624/],
    ['with a cluster askew', 2 * CLUSTER, be64(4 * CLUSTER + 512), /^L2 entry 0x40200/],
    ['with its L1 table as a cluster', 2 * CLUSTER, be64(CLUSTER), /^L2 entry 65536, where the L1 table lies/],
    ['with a compressed cluster beyond its end', 2 * CLUSTER, be64(2n ** 62n + 2n ** 40n), /^L2 entry says/],
  ])('%s', (_, at, change, message) => {
    const bytes = altered(good, at, change);
    expect(() => readAll(bytes)).toThrow(message);
  });

  test('with a zero flag before version 3', () => {
    const bytes = altered(altered(good, 4, be32(2)), 2 * CLUSTER, be64(1));
    expect(() => readAll(bytes)).toThrow(/^L2 entry 0x1, expected no zero flag in version 2/);
  });

  test('cut off anywhere within what it needs', () => {
    for (let length = 8; length < good.length; length += 4093) {
      expect(() => readAll(good.subarray(0, length))).toThrow(ParseError);
    }
  });

  test('that names another file, unless the caller gives it', () => {
    const bytes = withBacking('/etc/shadow', 'raw');
    expect(() => openImage(memorySource(bytes))).toThrow(DiskError);
    expect(() => openImage(memorySource(bytes))).toThrow(
      /backing_file_offset at 256 names another file \(backing\): "\/etc\/shadow"/,
    );
    expect(parseImageHeader(memorySource(bytes)).references).toEqual([
      { kind: 'backing', name: '/etc/shadow', format: 'raw', field: 'backing_file_offset', offset: 256 },
    ]);
    const given = openImage(memorySource(bytes), { resolve: () => memorySource(new Uint8Array(100).fill(1)) });
    expect([...given.read(99, 2)]).toEqual([1, 0]);
  });

  test('that lies upon itself', () => {
    const itself: ByteSource = memorySource(withBacking('self', 'qcow2'));
    expect(() => openImage(itself, { resolve: () => itself })).toThrow(
      /names image 65 of a chain, expected at most 64/,
    );
  });

  test('upon a file of a format that nobody knows', () => {
    const bytes = withBacking('x', 'nbd');
    expect(() => openImage(memorySource(bytes), { resolve: () => memorySource(bytes) })).toThrow(/format "nbd"/);
  });
});

test('openImage() takes what a guest wrote into its raw disk for raw where the caller says so', () => {
  const image = openImage(memorySource(withBacking('/etc/shadow', 'raw')), { format: 'raw' });
  expect(image.references).toEqual([]);
  expect(image.size).toBe(good.length);
});

test('read() refuses more than a process should hold', () => {
  const huge = altered(altered(good, 24, be64(2n ** 29n)), CLUSTER, be64(0));
  expect(() => openImage(memorySource(huge)).read(0, 2 ** 27)).toThrow(/limit|a read of 134217728 bytes/);
});
