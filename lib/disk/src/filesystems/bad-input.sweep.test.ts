// Bad input, over every file system: thousands of altered images end in values, or in ParseError or DiskError; and soon.
import { describe, expect, test } from 'vitest';
import { nodeCodecs } from '../node/codecs.ts';
import { fixture } from '../../testing/fixtures.ts';
import { exercise, livePlaces, mutated, seededNumbers, type OpenFileSystem } from '../../testing/hostile.ts';
import { openErofs } from './erofs/erofs.ts';
import { openExt } from './ext/ext.ts';
import { openFat } from './fat/fat.ts';
import { openIso9660 } from './iso9660/iso9660.ts';
import { openNtfs } from './ntfs/ntfs.ts';
import { openSquashfs } from './squashfs/squashfs.ts';

/** Of images up to a mebibyte; larger ones take longer to copy, each time. */
const MUTATIONS = 1500;
const MUTATIONS_OF_LARGE = 400;
const LARGE_BYTES = 2 ** 20;
const TRUNCATIONS = 200;

const FILE_SYSTEMS: readonly (readonly [fixture: string, open: OpenFileSystem])[] = [
  ['erofs', openErofs],
  ['erofs-chunked', openErofs],
  ['erofs-lz4', openErofs],
  ['erofs-lz4-legacy', openErofs],
  ['ext2', openExt],
  ['ext4', openExt],
  ['ext4-unchecked', openExt],
  ['ext4-journal', openExt],
  ['ext4-journal-checked', openExt],
  ['fat12', openFat],
  ['fat16', openFat],
  ['iso9660', openIso9660],
  ['iso9660-joliet', openIso9660],
  ['ntfs', openNtfs],
  ['squashfs', (source) => openSquashfs(source, { codecs: nodeCodecs })],
  ['squashfs-stored', (source) => openSquashfs(source, { codecs: {} })],
];

describe.each(FILE_SYSTEMS)('%s', (name, open) => {
  const image = name.startsWith('erofs') ? withoutChecksum(fixture(name)) : fixture(name);
  const places = livePlaces(image);
  const mutations = image.length > LARGE_BYTES ? MUTATIONS_OF_LARGE : MUTATIONS;

  test('a mutation ends in values, or in an error of this library', () => {
    const random = seededNumbers(20_261_121);
    let seen = 0;
    for (let count = 0; count < mutations; count += 1) seen += exercise(mutated(image, places, random), open);
    expect(seen).toBeGreaterThan(mutations);
  });

  test('so does a truncation', () => {
    const random = seededNumbers(7);
    for (let count = 0; count < TRUNCATIONS; count += 1) exercise(image.subarray(0, random(image.length)), open);
    expect(exercise(image, open)).toBeGreaterThan(40);
  });
});

/** An erofs image whose superblock says that it has no checksum: a liar would compute it anew. */
function withoutChecksum(image: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return image.fill(0, 1032, 1036);
}
