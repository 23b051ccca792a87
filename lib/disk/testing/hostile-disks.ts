// Disks that ask for more than they are worth: small on whoever's desk they were made, and as large inside as their format can say.
// Each is one piece of work for a process of its own, whose memory then says what it took (hostile-work.ts).
import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { crc32, CRC_START } from '../src/checksum/crc.ts';
import type { DirectoryEntry, FileNode, FileSystem } from '../src/filesystems/file-system.ts';
import {
  inspectFiles,
  inspectVolume,
  memorySource,
  openDisk,
  openFat,
  openImage,
  openOva,
  openPath,
  readInto,
  readLuks,
  readVolumeGroup,
  type ByteSource,
} from '../src/index.ts';
import { nodeCodecs } from '../src/node/index.ts';
import { PatchedSource } from '../src/source/patched-source.ts';
import { attempt } from './hostile.ts';
import { fixture } from './fixtures.ts';
import { memoryFileSystem } from './memory-file-system.ts';

const SECTOR = 512;
const MIB = 2 ** 20;

/** A disk of `size` bytes with `parts` at their places, and zeros between. */
function sparse(size: number, parts: readonly (readonly [at: number, bytes: Uint8Array])[]): ByteSource {
  const disk = new PatchedSource(memorySource(new Uint8Array(0)), size);
  for (const [at, bytes] of parts) disk.write(at, bytes.length, bytes);
  return disk;
}

function inspectWhole(disk: ByteSource): void {
  for (const volume of openDisk(disk, { codecs: nodeCodecs }).volumes) inspectVolume(volume);
}

/** As many partitions as a GPT can name, which begin one behind the other and all lead to the same file system. */
function gptOf(name: string, count: number): ByteSource {
  const system = fixture(name);
  const first = 2 + (count * 128) / SECTOR;
  const sectors = Math.ceil(system.length / SECTOR);
  const entries = new Uint8Array(count * 128);
  const view = new DataView(entries.buffer);
  for (let index = 0; index < count; index += 1) {
    entries.fill(index + 1, index * 128, index * 128 + 32);
    view.setUint32(index * 128 + 32, first, true);
    view.setUint32(index * 128 + 40, first + sectors - 1, true);
  }
  const header = new DataView(new ArrayBuffer(SECTOR));
  const bytes = new Uint8Array(header.buffer);
  bytes.set(new TextEncoder().encode('EFI PART'));
  header.setUint32(8, 0x10000, true);
  header.setUint32(12, 92, true);
  header.setUint32(24, 1, true);
  header.setUint32(40, first, true);
  header.setUint32(48, first + sectors, true);
  header.setUint32(72, 2, true);
  header.setUint32(80, count, true);
  header.setUint32(84, 128, true);
  header.setUint32(88, (crc32(CRC_START, entries) ^ CRC_START) >>> 0, true);
  header.setUint32(16, (crc32(CRC_START, bytes.subarray(0, 92)) ^ CRC_START) >>> 0, true);
  const protective = new Uint8Array(SECTOR);
  protective[450] = 0xee;
  protective.set([1, 0, 0, 0, 255, 255, 255, 255], 454);
  protective.set([0x55, 0xaa], 510);
  return sparse((first + sectors + 2) * SECTOR, [
    [0, protective],
    [SECTOR, bytes],
    [2 * SECTOR, entries],
    [first * SECTOR, system],
  ]);
}

const LVM_CRC = 0xf597a6cf;

/** A physical volume whose metadata are `text`. */
function lvm(text: string): ByteSource {
  const bytes = new TextEncoder().encode(text);
  const areaAt = 4096;
  const areaBytes = 512 + Math.ceil((bytes.length + 1) / 512) * 512;
  const label = new DataView(new ArrayBuffer(SECTOR));
  const put = (view: DataView, at: number, value: string): void =>
    new Uint8Array(view.buffer).set(new TextEncoder().encode(value), at);
  put(label, 0, 'LABELONE');
  label.setUint32(8, 1, true);
  label.setUint32(20, 32, true);
  put(label, 24, 'LVM2 001');
  put(label, 32, 'abcdefghijklmnopqrstuvwxyz012345');
  label.setUint32(72, areaAt + areaBytes, true);
  label.setUint32(104, areaAt, true);
  label.setUint32(112, areaBytes, true);
  label.setUint32(16, crc32(LVM_CRC, new Uint8Array(label.buffer).subarray(20)), true);
  const area = new DataView(new ArrayBuffer(SECTOR));
  put(area, 4, ' LVM2 x[5A%r0N*>');
  area.setUint32(20, 1, true);
  area.setUint32(24, areaAt, true);
  area.setUint32(32, areaBytes, true);
  area.setUint32(40, 512, true);
  area.setUint32(48, bytes.length, true);
  area.setUint32(56, crc32(LVM_CRC, bytes), true);
  area.setUint32(0, crc32(LVM_CRC, new Uint8Array(area.buffer).subarray(4)), true);
  const disk = new Uint8Array(areaAt + areaBytes);
  disk.set(new Uint8Array(label.buffer), SECTOR);
  disk.set(new Uint8Array(area.buffer), areaAt);
  disk.set(bytes, areaAt + 512);
  return memorySource(disk);
}

function lvmText(inside: (left: number) => string): string {
  return `vg { id = "vg-id" seqno = 7 extent_size = 8 ${inside(8 * MIB - 200)} }`;
}

function repeated(left: number, piece: (index: number) => string): string {
  const pieces: string[] = [];
  for (let index = 0, length = 0; ; index += 1) {
    const next = piece(index);
    length += next.length;
    if (length > left) return pieces.join('');
    pieces.push(next);
  }
}

/** A header of LUKS2 of its largest size, with `json` in it. */
function luks2(json: string): ByteSource {
  const size = 4 * MIB;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  bytes.set([0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe, 0, 2]);
  view.setBigUint64(8, BigInt(size));
  view.setBigUint64(16, 1n);
  bytes.set(new TextEncoder().encode('sha256'), 72);
  bytes.set(new TextEncoder().encode(json), 4096);
  bytes.set(createHash('sha256').update(bytes).digest(), 448);
  return sparse(64 * MIB, [[0, bytes]]);
}

function tarOf(name: string, contents: Uint8Array): Uint8Array {
  const header = new Uint8Array(512);
  const write = (at: number, text: string): void => header.set(new TextEncoder().encode(text), at);
  write(0, name);
  write(100, '0000644\0');
  write(108, '0000000\0');
  write(116, '0000000\0');
  write(124, `${contents.length.toString(8).padStart(11, '0')}\0`);
  write(136, '00000000000\0');
  write(148, '        0');
  write(257, 'ustar\x0000');
  const sum = header.reduce((total, byte) => total + byte, 0);
  write(148, `${sum.toString(8).padStart(6, '0')}\0 `);
  const padded = new Uint8Array(Math.ceil(contents.length / 512) * 512 + 1024 + 512);
  padded.set(header);
  padded.set(contents, 512);
  return padded;
}

/** FAT32 in which one file lies in every second cluster of the volume. */
function fragmentedFat(pieces: number): ByteSource {
  const clusters = 2 * pieces + 64;
  const reserved = 32;
  const tableSectors = Math.ceil(((clusters + 2) * 4) / SECTOR);
  const boot = new DataView(new ArrayBuffer(SECTOR));
  const bytes = new Uint8Array(boot.buffer);
  bytes.set([0xeb, 0x58, 0x90]);
  bytes.set(new TextEncoder().encode('mkfs.fat'), 3);
  boot.setUint16(11, SECTOR, true);
  boot.setUint8(13, 1);
  boot.setUint16(14, reserved, true);
  boot.setUint8(16, 1);
  boot.setUint8(21, 0xf8);
  boot.setUint32(32, reserved + tableSectors + clusters, true);
  boot.setUint32(36, tableSectors, true);
  boot.setUint32(44, 2, true);
  boot.setUint8(66, 0x29);
  bytes.set(new TextEncoder().encode('FAT32   '), 82);
  bytes.set([0x55, 0xaa], 510);
  const table = new Uint32Array(clusters + 2);
  table.set([0x0ffffff8, 0x0fffffff, 0x0fffffff]);
  for (let piece = 0; piece < pieces; piece += 1)
    table[4 + 2 * piece] = piece + 1 < pieces ? 6 + 2 * piece : 0x0fffffff;
  const entry = new DataView(new ArrayBuffer(32));
  new Uint8Array(entry.buffer).set(new TextEncoder().encode('FILE    BIN'));
  entry.setUint8(11, 0x20);
  entry.setUint16(26, 4, true);
  entry.setUint32(28, pieces * SECTOR, true);
  return sparse((reserved + tableSectors + clusters) * SECTOR, [
    [0, bytes],
    [reserved * SECTOR, new Uint8Array(table.buffer)],
    [(reserved + tableSectors) * SECTOR, new Uint8Array(entry.buffer)],
  ]);
}

/** NTFS whose table of files goes on, in a hole, for as long as a number can say. */
function endlessNtfs(): ByteSource {
  const image = fixture('ntfs');
  const view = new DataView(image.buffer);
  const clusterBytes = view.getUint16(11, true) * view.getUint8(13);
  const record = Number(view.getBigUint64(48, true)) * clusterBytes;
  for (
    let at = record + view.getUint16(record + 20, true);
    view.getUint32(at, true) !== 0xffff_ffff;
    at += view.getUint32(at + 4, true)
  ) {
    if (view.getUint32(at, true) !== 0x80) continue;
    const pairs = at + view.getUint16(at + 32, true);
    const widths = view.getUint8(pairs);
    const end = pairs + 1 + (widths & 15) + (widths >> 4);
    // A hole of 2^23 clusters behind the first run.
    image.set([3, 0xff, 0xff, 0x7f, 0], end);
    for (const field of [40, 48, 56]) view.setBigUint64(at + field, BigInt(clusterBytes) * 2n ** 23n, true);
    view.setBigUint64(at + 24, 2n ** 23n, true);
  }
  return memorySource(image);
}

/** A directory of one directory of one directory, with names as long as they can be, and files at the bottom that rules mean. */
function deepFileSystem(files: number): FileSystem {
  const { root } = memoryFileSystem({});
  const fileRoot = memoryFileSystem({
    '/key': '-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----\n',
  }).root;
  const key = fileRoot.lookup('key');
  if (key === undefined) throw new Error('no file');
  const name = 'n'.repeat(255);
  const level = (depth: number): FileNode => ({
    ...{ id: depth + 1, kind: 'directory', size: 0, permissions: 0o755, uid: 0, gid: 0, links: 1, modifiedAt: 0 },
    *entries(): Iterable<DirectoryEntry> {
      if (depth < 2046) yield { name, kind: 'directory', id: depth + 2, node: () => level(depth + 1) };
      else
        for (let index = 0; index < files; index += 1)
          for (const last of ['shadow', 'id_rsa', '.netrc', 'x.pem', '.pgpass', '.env', 'x.key', 'x.kdbx', '.npmrc'])
            yield { name: last, kind: 'file', id: 9999, node: () => key };
    },
    lookup: () => undefined,
    open: () => memorySource(new Uint8Array(0)),
    target: () => '',
    extendedAttributes: () => new Map(),
  });
  return { kind: 'ext4', label: '', uuid: '', size: 0, root: { ...level(0), lookup: (n) => root.lookup(n) } };
}

const QCOW2_CLUSTER_BITS = 21;

/** QCOW2 of clusters of 2 MiB, compressed a thousand to one, all in the same place. */
function bomb(clusters: number): ByteSource {
  const clusterBytes = 2 ** QCOW2_CLUSTER_BITS;
  const packed = deflateRawSync(new Uint8Array(clusterBytes).fill(7));
  const header = new DataView(new ArrayBuffer(112));
  header.setUint32(0, 0x514649fb);
  header.setUint32(4, 3);
  header.setUint32(20, QCOW2_CLUSTER_BITS);
  header.setBigUint64(24, BigInt(clusters * clusterBytes));
  header.setUint32(36, 1);
  header.setBigUint64(40, BigInt(clusterBytes));
  header.setBigUint64(48, BigInt(2 * clusterBytes));
  header.setUint32(56, 1);
  header.setUint32(96, 4);
  header.setUint32(100, 112);
  const l1 = new DataView(new ArrayBuffer(8));
  l1.setBigUint64(0, BigInt(3 * clusterBytes) | (1n << 63n));
  const l2 = new DataView(new ArrayBuffer(clusters * 8));
  const offsetBits = 62n - BigInt(QCOW2_CLUSTER_BITS - 8);
  const sectors = BigInt(Math.ceil(packed.length / SECTOR));
  // Each a sector further on, so that no cache has it.
  for (let index = 0; index < clusters; index += 1) {
    const place = BigInt(4 * clusterBytes + index * Number(sectors + 1n) * SECTOR);
    l2.setBigUint64(index * 8, (1n << 62n) | (sectors << offsetBits) | place);
  }
  const parts: (readonly [number, Uint8Array])[] = [
    [0, new Uint8Array(header.buffer)],
    [clusterBytes, new Uint8Array(l1.buffer)],
    [3 * clusterBytes, new Uint8Array(l2.buffer)],
  ];
  for (let index = 0; index < clusters; index += 1)
    parts.push([4 * clusterBytes + index * Number(sectors + 1n) * SECTOR, packed]);
  return sparse(5 * clusterBytes + clusters * Number(sectors + 2n) * SECTOR, parts);
}

function readAll(disk: ByteSource): void {
  const target = new Uint8Array(MIB);
  for (let at = 0; at < disk.size; at += MIB) readInto(disk, at, target.subarray(0, disk.size - at));
}

/** Prepares one disk; what comes back is the work on it that is measured. */
export const HOSTILE_DISKS: Readonly<Record<string, () => () => unknown>> = {
  ...Object.fromEntries(
    ['ext4-journal', 'squashfs'].map((name) => [
      `8,192 partitions of ${name}`,
      () => {
        const disk = gptOf(name, 8192);
        return () => inspectWhole(disk);
      },
    ]),
  ),
  'LVM of sections': () => {
    const disk = lvm(lvmText((left) => repeated(left, (index) => `_${index.toString(36)}{}`)));
    return () => attempt(() => readVolumeGroup([disk]));
  },
  'LVM of lists': () => {
    const disk = lvm(lvmText((left) => `a=[${repeated(left, () => '1 ')}]`));
    return () => attempt(() => readVolumeGroup([disk]));
  },
  'LVM on 16 disks': () => {
    const disk = lvm(lvmText((left) => `a="${repeated(left, () => 'abcdefghijklmnop')}"`));
    return () => attempt(() => readVolumeGroup(Array.from({ length: 16 }, () => disk)));
  },
  'LUKS2 of objects': () => {
    const disk = luks2(`{"x":[${'{"a":1},'.repeat(520_000)}{}]}`);
    return () => attempt(() => readLuks(disk));
  },
  'OVF of one element with many attributes': () => {
    const archive = memorySource(
      tarOf(
        'x.ovf',
        new TextEncoder().encode(`<Envelope ${repeated(3 * MIB, (index) => `a${index}="" `)}></Envelope>`),
      ),
    );
    return () => attempt(() => openOva(archive));
  },
  'NTFS with records without end': () => {
    const disk = endlessNtfs();
    return () => inspectWhole(disk);
  },
  'FAT32 with a file in a million pieces': () => {
    const fs = openFat(fragmentedFat(2 ** 20 - 1));
    return () => {
      const file = openPath(fs, '/FILE.BIN').open();
      file.read(file.size - 1, 1);
    };
  },
  'a hundred thousand homes': () => {
    const lines = Array.from(
      { length: 100_000 },
      (_, index) => `u${index}:x:${index}:0::/h/${index.toString(36)}:/bin/sh`,
    );
    const passwd = lines.join('\n');
    const files: Record<string, string> = {};
    for (let index = 0; index < 2000; index += 1) files[`/a/${index}/id_rsa`] = '';
    const fs = memoryFileSystem(files);
    return () => inspectFiles(fs, { readText: (path) => (path === '/etc/passwd' ? passwd : undefined) });
  },
  'keys at the bottom of a deep tree': () => {
    const fs = deepFileSystem(1000);
    return () => inspectFiles(fs, { readText: () => undefined });
  },
  'QCOW2 of clusters that grow a thousand times': () => {
    const disk = openImage(bomb(512), { codecs: nodeCodecs });
    return () => readAll(disk);
  },
};
