// What lies on a disk, from its first byte on: a table of partitions, or one file system; in each partition a file system,
// encryption, or something that is recognised and not read. What is damaged is said and hides nothing beside it.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from './disk-error.ts';
import { openErofs } from './filesystems/erofs/erofs.ts';
import { openExt } from './filesystems/ext/ext.ts';
import type { FileSystem } from './filesystems/file-system.ts';
import { openSquashfs } from './filesystems/squashfs/squashfs.ts';
import type { ByteSource } from './source/byte-source.ts';
import type { Codecs } from './source/codecs.ts';

export type VolumeContents =
  | { readonly kind: 'file-system'; readonly fileSystem: FileSystem }
  /** Its first bytes are those of a format that it then is not. */
  | { readonly kind: 'damaged'; readonly format: string; readonly message: string }
  | { readonly kind: 'zeros' }
  | { readonly kind: 'unknown' };

/** A run of the disk that something was put into as a whole. */
export interface Volume {
  /** What people name it by: its number, from 1 on. */
  readonly name: string;
  /** Where it lies, for people. */
  readonly place: string;
  readonly size: number;
  readonly source: ByteSource;
  readonly contents: VolumeContents;
}

export interface Disk {
  readonly size: number;
  readonly volumes: readonly Volume[];
}

export interface OpenDiskOptions {
  readonly codecs?: Codecs;
}

interface Format {
  readonly name: string;
  /** What its first block always holds, and where. */
  readonly magic: { readonly offset: number; readonly bytes: readonly number[] };
  readonly open: (source: ByteSource, codecs: Codecs) => FileSystem;
}

const FILE_SYSTEMS: readonly Format[] = [
  { name: 'ext', magic: { offset: 1080, bytes: [0x53, 0xef] }, open: openExt },
  {
    name: 'squashfs',
    magic: { offset: 0, bytes: [0x68, 0x73, 0x71, 0x73] },
    open: (source, codecs) => openSquashfs(source, { codecs }),
  },
  { name: 'erofs', magic: { offset: 1024, bytes: [0xe2, 0xe1, 0xf5, 0xe0] }, open: openErofs },
];

/** A disk whose beginning is zero this far was never written, or was wiped. */
const LOOKED_AT_BYTES = 64 * 1024;

/** `source` is the disk as its guest sees it: `openImage` makes one of an image. */
export function openDisk(source: ByteSource, { codecs = {} }: OpenDiskOptions = {}): Disk {
  return {
    size: source.size,
    volumes: [{ name: '1', place: 'the whole disk', size: source.size, source, contents: contentsOf(source, codecs) }],
  };
}

function contentsOf(source: ByteSource, codecs: Codecs): VolumeContents {
  const head = source.read(0, Math.min(source.size, LOOKED_AT_BYTES));
  for (const { name, magic, open } of FILE_SYSTEMS) {
    if (!magic.bytes.every((byte, index) => head[magic.offset + index] === byte)) continue;
    try {
      return { kind: 'file-system', fileSystem: open(source, codecs) };
    } catch (error) {
      if (!(error instanceof ParseError) && !(error instanceof DiskError)) throw error;
      return { kind: 'damaged', format: name, message: error.message };
    }
  }
  return head.every((byte) => byte === 0) ? { kind: 'zeros' } : { kind: 'unknown' };
}
