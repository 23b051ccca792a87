// Bad input, over whole disks: tables of partitions and what lies in them, altered a thousand times, end in volumes; never in an
// error that is not of this library.
import { expect, test } from 'vitest';
import { fixture } from '../testing/fixtures.ts';
import { exercise, mutated, seededNumbers } from '../testing/hostile.ts';
import { openDisk } from './open-disk.ts';
import { memorySource } from './source/byte-source.ts';

const MUTATIONS = 1500;
const SECTOR = 512;
const NAMES = ['fat12', 'erofs', 'squashfs-stored', 'iso9660', 'ext4'] as const;

/** Partitions in a table of MBR, with one of more than it can hold in a chain. */
function disk(): Uint8Array {
  const volumes = NAMES.map((name) => fixture(name));
  const sectors = volumes.map((volume) => Math.ceil(volume.length / SECTOR));
  const bytes = new Uint8Array((2 + sectors.reduce((sum, count) => sum + count, 0)) * SECTOR);
  const view = new DataView(bytes.buffer);
  let at = 1;
  for (const [index, volume] of volumes.entries()) {
    const isLogical = index >= 3;
    if (index === 3) {
      view.setUint8(446 + 48 + 4, 5);
      view.setUint32(446 + 48 + 8, at, true);
      view.setUint32(446 + 48 + 12, bytes.length / SECTOR - at, true);
      view.setUint16(at * SECTOR + 510, 0xaa55, true);
      at += 1;
    }
    const entry = isLogical ? (at - 1) * SECTOR + 446 : 446 + 16 * index;
    if (index < 4) {
      view.setUint8(entry + 4, 0x83);
      view.setUint32(entry + 8, isLogical ? 1 : at, true);
      view.setUint32(entry + 12, sectors[index] ?? 0, true);
    }
    bytes.set(volume, at * SECTOR);
    at += sectors[index] ?? 0;
  }
  view.setUint16(510, 0xaa55, true);
  return bytes;
}

test('a mutation of a disk ends in volumes, and what lies in them in values or errors of this library', () => {
  const bytes = disk();
  const { volumes } = openDisk(memorySource(bytes));
  expect(volumes.filter(({ contents }) => contents.kind === 'file-system').length).toBe(4);
  // The tables, and the first sectors of what they lead to.
  const starts = volumes.flatMap(({ partition }) => (partition === undefined ? [] : [partition.offset]));
  const places = [0, ...starts].flatMap((start) => Array.from({ length: 96 }, (_, index) => start + 16 * index));
  const random = seededNumbers(99);
  let seen = 0;
  for (let count = 0; count < MUTATIONS; count += 1) {
    const altered = openDisk(memorySource(mutated(bytes, places, random)));
    for (const { contents } of altered.volumes) {
      if (contents.kind !== 'file-system') continue;
      const { fileSystem } = contents;
      seen += 1;
      if (count % 10 === 0) exercise(new Uint8Array(0), () => fileSystem);
    }
  }
  expect(seen).toBeGreaterThan(MUTATIONS);
});
