import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { attempt, livePlaces, mutated, seededNumbers } from '../../../testing/hostile.ts';
import { crc32 } from '../../checksum/crc.ts';
import { memorySource } from '../../source/byte-source.ts';
import { readLvmLabel, recogniseLvm } from './lvm-label.ts';
import { parseLvmMetadata } from './lvm-metadata.ts';
import { readVolumeGroup } from './volume-group.ts';

const CRC_INITIAL = 0xf597a6cf;
const AREA_AT = 4096;
const AREA_BYTES = 8192;
const DATA_AT = 16_384;
const PV_ID = 'abcdefghijklmnopqrstuvwxyz012345';
const PV_UUID = 'abcdef-ghij-klmn-opqr-stuv-wxyz-012345';

const TEXT = `# made by hand
vg {
  id = "vg-id"
  seqno = 7
  extent_size = 8 # sectors
  physical_volumes { pv0 { id = "${PV_UUID}" pe_start = ${DATA_AT / 512} pe_count = 4 } }
  logical_volumes {
    root { id = "root-id" status = ["READ", "WRITE", "VISIBLE"] segment_count = 2
      segment1 { start_extent = 0 extent_count = 1 type = "striped" stripe_count = 1 stripes = [ "pv0", 2 ] }
      segment2 { start_extent = 1 extent_count = 2 type = "striped" stripe_count = 1 stripes = [ "pv0", 0 ] } }
    pool { id = "pool-id" status = [] segment_count = 1
      segment1 { start_extent = 0 extent_count = 1 type = "thin" thin_pool = "x" } }
  }
}`;

/** A physical volume of four extents; `wrapped` text goes around the end of its ring. */
function physicalVolume(text: string = TEXT, wrapped = false): Buffer {
  const disk = Buffer.alloc(DATA_AT + 4 * 4096);
  disk.write('LABELONE', 512, 'latin1');
  disk.writeUInt32LE(1, 512 + 8);
  disk.writeUInt32LE(32, 512 + 20);
  disk.write('LVM2 001', 512 + 24, 'latin1');
  disk.write(PV_ID, 512 + 32, 'latin1');
  disk.writeUInt32LE(DATA_AT, 512 + 72);
  disk.writeUInt32LE(AREA_AT, 512 + 104);
  disk.writeUInt32LE(AREA_BYTES, 512 + 112);
  const bytes = Buffer.from(text);
  const at = wrapped ? AREA_BYTES - 100 : 512;
  for (const [index, byte] of bytes.entries()) {
    const place = at + index;
    disk[AREA_AT + (place < AREA_BYTES ? place : place - AREA_BYTES + 512)] = byte;
  }
  disk.write(' LVM2 x[5A%r0N*>', AREA_AT + 4, 'latin1');
  disk.writeUInt32LE(1, AREA_AT + 20);
  disk.writeUInt32LE(AREA_AT, AREA_AT + 24);
  disk.writeUInt32LE(AREA_BYTES, AREA_AT + 32);
  disk.writeUInt32LE(at, AREA_AT + 40);
  disk.writeUInt32LE(bytes.length, AREA_AT + 48);
  disk.writeUInt32LE(crc32(CRC_INITIAL, bytes), AREA_AT + 56);
  for (let extent = 0; extent < 4; extent += 1)
    disk.fill(extent + 1, DATA_AT + extent * 4096, DATA_AT + (extent + 1) * 4096);
  return sealed(disk);
}

function sealed(disk: Buffer): Buffer {
  disk.writeUInt32LE(crc32(CRC_INITIAL, disk, 512 + 20, 1024), 512 + 16);
  disk.writeUInt32LE(crc32(CRC_INITIAL, disk, AREA_AT + 4, AREA_AT + 512), AREA_AT);
  return disk;
}

const read = (disk: Buffer): ReturnType<typeof readVolumeGroup> => readVolumeGroup([memorySource(disk)]);

describe('readVolumeGroup()', () => {
  test.each([
    ['in one piece', false],
    ['around the end of its ring', true],
  ])('reads metadata %s', (_, wrapped) => {
    const disk = physicalVolume(TEXT, wrapped);
    expect(recogniseLvm(memorySource(disk))).toBe(true);
    const group = read(disk);
    expect(group).toMatchObject({ name: 'vg', uuid: 'vg-id' });
    const [root, pool] = group.volumes;
    expect(root).toMatchObject({ name: 'root', uuid: 'root-id', kinds: ['linear'], visible: true, size: 3 * 4096 });
    const bytes = root?.open().read(0, 3 * 4096);
    expect([bytes?.[0], bytes?.[4096], bytes?.[8192], bytes?.[12_287]]).toEqual([3, 1, 2, 2]);
    expect(pool).toMatchObject({ kinds: ['thin'], visible: false });
    expect(() => pool?.open()).toThrow(/thin of volume pool/);
  });

  test.each([
    ['an extent that nobody has', 'stripes = [ "pv0", 0 ]', 'stripes = [ "pv0", 3 ]', /lie on no extents/],
    ['a volume that nobody has', 'stripes = [ "pv0", 0 ]', 'stripes = [ "pv9", 0 ]', /lie on no extents/],
    ['a hole between segments', 'start_extent = 1', 'start_extent = 2', /start_extent 2 of segment2 of root/],
    ['a missing segment', 'segment_count = 2', 'segment_count = 3', /without segment3/],
    ['a million segments', 'segment_count = 2', 'segment_count = 1000000', /segment_count 1000000/],
    ['an extent size of nothing', 'extent_size = 8', 'extent_size = 0', /extent_size 0/],
    ['a size beyond 2^53', 'extent_count = 2', 'extent_count = 9007199254740990', /extent_count/],
    ['data beyond the disk', 'pe_start = 32', 'pe_start = 3200', /logical volume root needs/],
  ])('refuses %s', (_, from, to, message) => {
    const open = (): unknown => read(physicalVolume(TEXT.replace(from, to))).volumes[0]?.open();
    expect(open).toThrow(ParseError);
    expect(open).toThrow(message);
  });

  test('names the structure with a wrong checksum', () => {
    const spoiled = (at: number): Buffer => {
      const disk = physicalVolume();
      disk.writeUInt8((disk[at] ?? 0) ^ 1, at);
      return disk;
    };
    expect(() => read(spoiled(512 + 40))).toThrow(/crc_xl/);
    expect(() => read(spoiled(AREA_AT + 60))).toThrow(/mda checksum_xl/);
    expect(() => read(spoiled(AREA_AT + 530))).toThrow(/raw_locn checksum/);
  });

  test('refuses two groups as one', () => {
    const other = physicalVolume(TEXT.replace('"vg-id"', '"other"'));
    expect(() => readVolumeGroup([memorySource(physicalVolume()), memorySource(other)])).toThrow(/expected one/);
  });

  test('no mutation ends in another error', () => {
    const random = seededNumbers(3);
    const disk = physicalVolume();
    const places = livePlaces(disk.subarray(0, DATA_AT));
    let labels = 0;
    for (let count = 0; count < 1000; count += 1) {
      const bytes = sealed(Buffer.from(mutated(disk, places, random)));
      const source = memorySource(bytes);
      if (attempt(() => readLvmLabel(source)) !== undefined) labels += 1;
      attempt(() => readVolumeGroup([source]).volumes.map((volume) => attempt(() => volume.open().read(0, 4096))));
    }
    expect(labels).toBeGreaterThan(0);
  });
});

describe('parseLvmMetadata()', () => {
  test.each([
    ['a section that nobody closes', 'a { b = 1', /expected a name/],
    ['one closed too often', 'a { } }', /expected a name/],
    ['a name twice', 'a = 1 a = 2', /says a twice/],
    ['a value missing', 'a = }', /expected a value/],
    ['a string that nobody ends', 'a = "b', /does not end/],
    ['one whose end is escaped', 'a = "b\\\\\\"', /does not end/],
    ['sections without end', 'a {'.repeat(100), /deeper than 16/],
    ['a number of 30 digits', `a = ${'1'.repeat(30)}`, /expected a number or a string/],
    ['a list that nobody ends', 'a = [ 1, 2', /expected a number or a string/],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseLvmMetadata(text, 0)).toThrow(ParseError);
    expect(() => parseLvmMetadata(text, 0)).toThrow(message);
  });

  test('takes time in proportion to its input', () => {
    expect(() => parseLvmMetadata(`${'# \n'.repeat(300_000)}a = "${'\\"'.repeat(300_000)}`, 0)).toThrow(ParseError);
  });

  test('takes strings of any length, with whatever is escaped in them', () => {
    const long = 'b'.repeat(16_000_000);
    const { values } = parseLvmMetadata(`${'#\n'.repeat(3_000_000)}a = "${long}" b = "x\\"\\\\" c = ""`, 0);
    expect([...values]).toEqual([
      ['a', long],
      ['b', 'x"\\'],
      ['c', ''],
    ]);
  });

  test.each([
    ['sections', Array.from({ length: 40_000 }, (_, index) => `s${index}{}`).join('')],
    ['values', Array.from({ length: 300_000 }, (_, index) => `v${index}=1 `).join('')],
    ['items of lists', `a=[${'1,'.repeat(300_000)}]`],
  ])('refuses more %s than memory should hold', (_, text) => {
    expect(() => parseLvmMetadata(text, 0)).toThrow(/more than \d+/);
  });
});
