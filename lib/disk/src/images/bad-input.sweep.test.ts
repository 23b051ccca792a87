// Bad input, over every image format: thousands of altered images end in bytes, or in ParseError or DiskError; and soon.
import { describe, expect, test } from 'vitest';
import { nodeCodecs } from '../node/codecs.ts';
import { fixture } from '../../testing/fixtures.ts';
import { attempt, livePlaces, mutated, seededNumbers } from '../../testing/hostile.ts';
import { guidOf, logEntry, MIB, vhd, vhdx } from '../../testing/image-maker.ts';
import { memorySource } from '../source/byte-source.ts';
import { openImage, parseImageHeader } from './open-image.ts';

const MUTATIONS = 400;
const TRUNCATIONS = 100;
/** A disk that lies about its size is looked at in its first and its last part. */
const LOOKED_AT_BYTES = MIB / 2;
const MAX_RUNS = 300;

const BY_HAND: Readonly<Record<string, () => Uint8Array>> = {
  'differencing VHD': () => vhd(2, [{ bitmap: [0x60, 1], fill: 1 }, undefined], { uuid: 1, name: 'base.vhd' }),
  'VHDX with a log': () =>
    vhdx({
      ...{ bat: [0n, (4n << 20n) + 6n], blocks: 2, dataWriteGuid: 1, logGuid: 5, size: 5 * MIB },
      log: logEntry(
        7,
        0,
        5,
        [
          { at: 3 * MIB, sector: new Uint8Array(4096).fill(0) },
          { at: MIB * 4, zeros: 4096 },
        ],
        5 * MIB,
      ),
    }),
  'differencing VHDX': () => {
    const bat = Array.from({ length: 4097 }, () => 0n)
      .with(0, (4n << 20n) + 7n)
      .with(4096, (5n << 20n) + 6n);
    return vhdx({ bat, blocks: 2, dataWriteGuid: 2, size: 6 * MIB, parent: { guid: 1, name: guidOf(1) } });
  },
};

const PARENTS = [
  vhd(1, [{ bitmap: [255, 255], fill: 9 }]),
  vhdx({ bat: [0n, 0n], blocks: 2, dataWriteGuid: 1, size: 4 * MIB }),
];

/** Opens and reads. Returns how many bytes could be read. */
function exerciseImage(bytes: Uint8Array): number {
  const source = memorySource(bytes);
  attempt(() => parseImageHeader(source));
  let depth = 0;
  const disk = attempt(() =>
    openImage(source, {
      codecs: nodeCodecs,
      resolve: ({ format }) => {
        depth += 1;
        return memorySource(depth > 3 ? new Uint8Array(512) : (PARENTS[format === 'vhdx' ? 1 : 0] ?? bytes));
      },
    }),
  );
  if (disk === undefined) return 0;
  let read = 0;
  for (const start of [0, Math.max(0, disk.size - LOOKED_AT_BYTES)]) {
    for (let at = start; at < Math.min(disk.size, start + LOOKED_AT_BYTES); at += 65_536) {
      const length = Math.min(65_536, disk.size - at);
      read += attempt(() => disk.read(at, length).length) ?? 0;
    }
  }
  attempt(() => {
    let at = 0;
    for (let runs = 0; runs < MAX_RUNS; runs += 1) {
      const run = disk.nextData(at);
      if (run === undefined) return;
      if (run.length <= 0 || run.offset < at || run.offset + run.length > disk.size)
        throw new Error('a run that is none');
      at = run.offset + run.length;
    }
  });
  for (const { id } of disk.snapshots) attempt(() => disk.openSnapshot(id).read(0, 512));
  return read;
}

const FIXTURES = [
  ...['qcow2', 'qcow2-zlib', 'qcow2-zstd', 'qcow2-subclusters', 'qed', 'vmdk', 'vmdk-stream', 'vdi', 'vhd', 'vhdx'],
  ...Object.keys(BY_HAND),
];

describe.each(FIXTURES)('%s', (name) => {
  const image = BY_HAND[name]?.() ?? fixture(`image-${name}`);
  const places = livePlaces(image);

  test('a mutation ends in bytes, or in an error of this library', () => {
    const random = seededNumbers(20_261_121);
    let read = 0;
    for (let count = 0; count < MUTATIONS; count += 1) read += exerciseImage(mutated(image, places, random));
    expect(read).toBeGreaterThan(MUTATIONS);
  });

  test('a mutation of its first structures, too', () => {
    const random = seededNumbers(42);
    const first = places.slice(0, 60);
    let refused = 0;
    for (let count = 0; count < MUTATIONS; count += 1) {
      if (exerciseImage(mutated(image, first, random)) === 0) refused += 1;
    }
    expect(refused).toBeGreaterThan(0);
  });

  test('so does a truncation', () => {
    const random = seededNumbers(7);
    for (let count = 0; count < TRUNCATIONS; count += 1) exerciseImage(image.subarray(0, random(image.length)));
    expect(exerciseImage(image)).toBeGreaterThan(0);
  });
});
