import { describe, expect, test } from 'vitest';
import { fixture } from '../testing/fixtures.ts';
import { openDisk, type VolumeContents } from './open-disk.ts';
import { memorySource } from './source/byte-source.ts';

const SECTOR = 512;

function contentsOf(bytes: Uint8Array): VolumeContents | undefined {
  return openDisk(memorySource(bytes)).volumes[0]?.contents;
}

/** An MBR disk with these volumes, one after another; `claimed` sectors in the table instead of the true ones. */
function mbrDisk(volumes: readonly Uint8Array[], claimed?: number): Uint8Array {
  const sectorsOf = (volume: Uint8Array): number => Math.ceil(volume.length / SECTOR);
  const disk = new Uint8Array(SECTOR * (1 + volumes.reduce((sum, volume) => sum + sectorsOf(volume), 0)));
  const view = new DataView(disk.buffer);
  let sector = 1;
  for (const [index, volume] of volumes.entries()) {
    const entry = 446 + 16 * index;
    view.setUint8(entry + 4, 0x83);
    view.setUint32(entry + 8, sector, true);
    view.setUint32(entry + 12, claimed ?? sectorsOf(volume), true);
    disk.set(volume, sector * SECTOR);
    sector += sectorsOf(volume);
  }
  view.setUint16(510, 0xaa55, true);
  return disk;
}

describe('openDisk()', () => {
  test('says that a disk was never written', () => {
    expect(contentsOf(new Uint8Array(4096))).toEqual({ kind: 'zeros' });
    expect(contentsOf(new Uint8Array(0))).toEqual({ kind: 'zeros' });
  });

  test('says that it does not know what it holds', () => {
    expect(contentsOf(new Uint8Array(4096).fill(7))).toEqual({ kind: 'unknown', dataAt: 0 });
  });

  test('does not call a disk empty whose table was wiped and whose files were not', () => {
    const disk = new Uint8Array(300_000);
    disk[270_000] = 1;
    expect(contentsOf(disk)).toEqual({ kind: 'unknown', dataAt: 270_000 });
  });

  test.each([
    ['squashfs', 0, [0x68, 0x73, 0x71, 0x73]],
    ['ext', 1080, [0x53, 0xef]],
    ['erofs', 1024, [0xe2, 0xe1, 0xf5, 0xe0]],
    ['ntfs', 3, [0x4e, 0x54, 0x46, 0x53, 0x20, 0x20, 0x20, 0x20]],
  ])('names %s where only its magic bytes are right', (format, offset, magic) => {
    const bytes = new Uint8Array(4096);
    bytes.set(magic, offset);
    expect(contentsOf(bytes)).toEqual({ kind: 'damaged', format, message: expect.any(String) });
  });

  test.each(['erofs', 'ext4', 'fat12', 'fat16', 'iso9660-joliet', 'ntfs', 'squashfs-stored'])(
    'opens %s without a table of partitions',
    (name) => {
      const { volumes, table, notes } = openDisk(memorySource(fixture(name)));
      expect([volumes.length, volumes[0]?.name, table, notes]).toEqual([1, '1', undefined, []]);
      expect(volumes[0]?.contents).toMatchObject({ kind: 'file-system', fileSystem: { kind: name.split('-')[0] } });
    },
  );

  test('opens each partition for itself, and a damaged one hides no other', () => {
    const broken = fixture('squashfs-stored').fill(0xff, 28, 32);
    const { volumes, table } = openDisk(memorySource(mbrDisk([fixture('fat12'), broken, fixture('erofs')])));
    expect(table?.scheme).toBe('mbr');
    expect(volumes.map(({ name, contents }) => [name, contents.kind])).toEqual([
      ['1', 'file-system'],
      ['2', 'damaged'],
      ['3', 'file-system'],
    ]);
    expect(volumes[2]).toMatchObject({
      partition: { number: 3, type: '83' },
      place: expect.stringMatching(/^partition 3 of mbr, from byte \d+ on$/),
    });
  });

  test('what is encrypted as a whole is said by name', () => {
    const bytes = new Uint8Array(8192);
    bytes.set(new TextEncoder().encode('LUKS'));
    bytes.set([0xba, 0xbe, 0, 2], 4);
    const [volume] = openDisk(memorySource(mbrDisk([bytes]))).volumes;
    expect(volume?.contents).toMatchObject({ kind: 'damaged', format: 'luks' });
  });

  test('a partition beyond the end of the disk is cut, and said', () => {
    const { volumes, notes } = openDisk(memorySource(mbrDisk([new Uint8Array(SECTOR * 4).fill(1)], 1000)));
    expect(volumes[0]?.size).toBe(SECTOR * 4);
    expect(notes).toEqual(['partition 1 ends beyond the disk: 509952 bytes of it are not there']);
  });

  test('any prefix of a disk says something', () => {
    const disk = mbrDisk([fixture('fat12'), fixture('erofs')]);
    for (let length = 0; length < disk.length; length += 3331) {
      expect(openDisk(memorySource(disk.subarray(0, length))).volumes.length).toBeGreaterThan(0);
    }
  });
});
