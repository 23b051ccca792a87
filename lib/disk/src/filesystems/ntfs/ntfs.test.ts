import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { fixture } from '../../../testing/fixtures.ts';
import { exercise } from '../../../testing/hostile.ts';
import { textOf } from '../../../testing/trees.ts';
import { memorySource } from '../../source/byte-source.ts';
import { parseNtfsBootSector } from './boot-sector.ts';
import { openNtfs, type Ntfs } from './ntfs.ts';
import { interixTarget, parseReparsePoint } from './reparse.ts';

const image = fixture('ntfs');
const { mftStart, recordBytes } = parseNtfsBootSector(memorySource(image));
const open = (bytes: Uint8Array): Ntfs => openNtfs(memorySource(bytes));

function changed(offset: number, ...bytes: readonly number[]): Uint8Array {
  const copy = new Uint8Array(image);
  copy.set(bytes, offset);
  return copy;
}

/** Where the record of the node at this path lies. */
function recordOf(...path: readonly string[]): number {
  let node = open(image).root.lookup(path[0] ?? '');
  for (const name of path.slice(1)) node = node?.lookup(name);
  return mftStart + (node?.id ?? 0) * recordBytes;
}

/** Where an attribute of this type begins in the record at `record`. */
function attributeAt(record: number, type: number): number {
  const view = new DataView(image.buffer);
  let at = record + view.getUint16(record + 20, true);
  while (view.getUint32(at, true) !== type) at += view.getUint32(at + 4, true);
  return at;
}

describe('openNtfs()', () => {
  test('reads a small volume', () => {
    const ntfs = open(image);
    expect([ntfs.kind, ntfs.label, ntfs.notes]).toEqual(['ntfs', 'SMALL', []]);
    expect([...ntfs.root.entries()].map((entry) => `${entry.name} ${entry.node().kind}`)).toEqual([
      'etc directory',
      'link symlink',
      'many directory',
      'packed directory',
      'zeros file',
    ]);
    const shadow = ntfs.root.lookup('ETC')?.lookup('Shadow');
    expect(Buffer.from(shadow?.open().read(0, 8) ?? []).toString()).toBe('root:$y$');
    expect(shadow?.extendedAttributes().get('user.note')).toEqual(new Uint8Array(Buffer.from('a note')));
    expect(ntfs.root.lookup('link')?.target()).toBe('etc/shadow');
    const packed = ntfs.root.lookup('packed')?.lookup('large.txt');
    expect(Buffer.from(packed?.open().read(0, 20_000) ?? []).equals(textOf(1, 20_000))).toBe(true);
    expect([...(ntfs.root.lookup('many')?.entries() ?? [])].length).toBe(40);
    expect(exercise(image, openNtfs)).toBeGreaterThan(50);
  });

  test('reads what was deleted', () => {
    const deleted = [...(open(image).deletedFiles?.() ?? [])].find(({ name }) => name === 'deleted secret.key');
    expect(Buffer.from(deleted?.node.open().read(0, 25) ?? []).toString()).toBe('a secret that was deleted');
    expect(deleted?.overwrittenBlocks).toBe(0);
  });

  test.each([
    ['another name', 3, [0], /OEM_ID/],
    ['sectors of 100 bytes', 11, [100, 0], /bytes_per_sector 100/],
    ['clusters of three sectors', 13, [3], /sectors_per_cluster 3/],
    ['clusters of 2^128 sectors', 13, [0x81], /sectors_per_cluster 129/],
    ['more sectors than there are', 47, [0x7f], /number_of_sectors/],
    ['no sectors', 40, [0, 0, 0, 0, 0, 0, 0, 0], /number_of_sectors 0/],
    ['a table beyond the volume', 50, [0xff], /mft_lcn/],
    ['records of 2^128 bytes', 64, [0x80], /clusters_per_mft_record 128/],
    ['records of no bytes', 64, [0], /clusters_per_mft_record 0/],
  ])('refuses %s', (_, offset, bytes, message) => {
    expect(() => open(changed(offset, ...bytes))).toThrow(ParseError);
    expect(() => open(changed(offset, ...bytes))).toThrow(message);
  });

  test('refuses every truncation', () => {
    for (let length = 0; length < image.length; length += 9973)
      expect(() => open(image.subarray(0, length))).toThrow(ParseError);
  });

  test('a record that was written in part is refused', () => {
    const record = recordOf('etc', 'shadow');
    const bytes = changed(record + 510, 0xaa, 0xaa);
    expect(() => open(bytes).root.lookup('etc')?.lookup('shadow')).toThrow(/written in part/);
  });

  test('a file that is encrypted by EFS says so, and needs its key', () => {
    const record = recordOf('etc', 'shadow');
    const bytes = changed(attributeAt(record, 0x80) + 13, 0x40);
    const shadow = open(bytes).root.lookup('etc')?.lookup('shadow');
    expect(shadow?.encrypted).toBe(true);
    expect(() => shadow?.open()).toThrow(/EFS/);
  });
});

describe('attributes that lie elsewhere', () => {
  const data = attributeAt(recordOf('packed', 'large.txt'), 0x80);
  const pairs = data + new DataView(image.buffer).getUint16(data + 32, true);
  const read = (bytes: Uint8Array): unknown =>
    open(bytes).root.lookup('packed')?.lookup('large.txt')?.open().read(0, 20_000);

  test.each([
    ['a run without a length', pairs, [0x10], /widths 0 and 1/],
    ['a run of a negative length', pairs + 1, [0xff], /a run of -1 clusters/],
    ['a run beyond the volume', pairs, [0x41, 1, 0, 0, 0, 0x7f], /clusters from 2130706432 on/],
    ['a run before the volume', pairs, [0x11, 1, 0x80], /1 clusters from -128 on/],
    ['a piece that does not begin at the beginning', data + 16, [5], /lowest_vcn 5, expected 0/],
    ['units of 2^14 clusters', data + 34, [14], /compression_unit 14/],
  ])('%s is refused', (_, offset, bytes, message) => {
    expect(() => read(changed(offset, ...bytes))).toThrow(message);
  });
});

describe('links', () => {
  const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');

  function reparsePoint(tag: number, target: string, flagBytes: number): Buffer {
    const header = Buffer.alloc(16 + flagBytes);
    header.writeUInt32LE(tag, 0);
    header.writeUInt16LE(2 * target.length, 10);
    return Buffer.concat([header, utf16(target)]);
  }

  test.each([
    ['a symbolic link', reparsePoint(0xa000_000c, '..\\other\\file', 4), '../other/file'],
    ['a junction', reparsePoint(0xa000_0003, '\\??\\C:\\Users\\all', 0), '/Users/all'],
    [
      'a link of Linux on Windows',
      Buffer.from([0x1d, 0, 0, 0xa0, 9, 0, 0, 0, 2, 0, 0, 0, 0x2f, 0x65, 0x74, 0x63]),
      '/etc',
    ],
  ])('%s leads where it says', (_, bytes, target) => {
    expect(parseReparsePoint(bytes, 0)).toEqual({ target });
  });

  test('what a driver would have to unpack is said', () => {
    const wof = Buffer.from([0x17, 0, 0, 0x80, 0, 0, 0, 0]);
    expect(parseReparsePoint(wof, 0).hides).toContain('WOF');
  });

  test.each([[Buffer.from([0x0c, 0, 0])], [reparsePoint(0xa000_000c, 'abc', 4).subarray(0, 24)]])(
    'half a link is refused',
    (bytes) => {
      expect(() => parseReparsePoint(bytes, 0)).toThrow(ParseError);
    },
  );

  test('links of Interix are known by their first bytes', () => {
    expect(interixTarget(Buffer.concat([Buffer.from('IntxLNK\u0001'), utf16('a/b')]))).toBe('a/b');
    expect(interixTarget(Buffer.from('IntxLNK'))).toBeUndefined();
  });
});
