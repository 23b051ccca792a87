// One inode of XFS: from its bytes to checked metadata, and where its forks lie (XFS Algorithms & Data Structures, "On-disk
// Inode").
import { ParseError } from '@ringwall/bytes';
import { kindOfMode, permissionsOfMode } from '../node-kind.ts';
import type { UnixInode } from '../unix-node.ts';
import type { XfsVolume } from './volume.ts';

const MAGIC = 0x494e;
const CORE_BYTES_V2 = 100;
const CORE_BYTES_V3 = 176;
const CHECKSUM_AT = 100;
const FLAG_REALTIME = 0x1;
const FLAG2_BIG_TIME = 0x8;
const FLAG2_MANY_EXTENTS = 0x10;
const NANOSECONDS_PER_MILLISECOND = 1_000_000n;
/** Big times count from the earliest of the older ones: December 1901. */
const BIG_TIME_START_MS = 2 ** 31 * 1000;
/** The format allows 2^63, and a kernel a little less; no number here goes beyond 2^53. */
const MAX_EXTENTS = 2 ** 48;

export type ForkFormat = 'device' | 'local' | 'extents' | 'btree' | 'none';
const FORMATS: readonly (ForkFormat | undefined)[] = ['device', 'local', 'extents', 'btree'];

/** A map of blocks, or what lies in the inode instead. */
export interface Fork {
  readonly format: ForkFormat;
  readonly bytes: Uint8Array;
  /** Where the bytes lie, from the start of the file system. */
  readonly offset: number;
  readonly extents: number;
}

export interface XfsInode extends UnixInode {
  readonly offset: number;
  readonly realtime: boolean;
  readonly data: Fork;
  readonly attributes: Fork;
}

/** Inode `number`, its checksum verified. */
export function readInode(volume: XfsVolume, number: number): XfsInode {
  const { bytes, offset } = volume.inode(number);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const refuse = (field: string, at: number, detail: string): ParseError =>
    new ParseError('invalid', `${field} of inode ${number}`, offset + at, detail);

  if (view.getUint16(0) !== MAGIC) throw refuse('di_magic', 0, `0x${view.getUint16(0).toString(16)}, expected 0x494e`);
  const version = view.getUint8(4);
  const isV3 = version === 3;
  if (volume.geometry.version === 5 ? !isV3 : version !== 1 && version !== 2) {
    throw refuse('di_version', 4, `${version}, expected that of the file system`);
  }
  if (isV3) {
    volume.verify(bytes, CHECKSUM_AT, `di_crc of inode ${number}`, offset);
    const own = view.getUint32(152) * 2 ** 32 + view.getUint32(156);
    if (own !== number) throw refuse('di_ino', 152, `${own}, expected ${number}`);
  }
  const mode = view.getUint16(2);
  const kind = kindOfMode(mode);
  if (kind === undefined) throw refuse('di_mode', 2, `0o${mode.toString(8)}, expected a kind of file`);
  const flags2 = isV3 ? view.getUint32(124) : 0;
  const many = (flags2 & FLAG2_MANY_EXTENTS) !== 0;
  const core = isV3 ? CORE_BYTES_V3 : CORE_BYTES_V2;
  const room = bytes.length - core;
  const forkOffset = view.getUint8(82) * 8;
  if (forkOffset >= room && forkOffset !== 0) throw refuse('di_forkoff', 82, `${forkOffset}, expected below ${room}`);
  const dataEnd = forkOffset === 0 ? bytes.length : core + forkOffset;
  const formatOf = (at: number): ForkFormat => {
    const format = FORMATS[view.getUint8(at)];
    if (format === undefined) throw refuse('di_format', at, `${view.getUint8(at)}, expected 0 to 3`);
    return format;
  };
  const count = (at: number): number => {
    const extents = view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
    if (extents > MAX_EXTENTS) throw refuse('di_nextents', at, `${extents}, expected at most ${MAX_EXTENTS}`);
    return extents;
  };
  const size = view.getUint32(56) * 2 ** 32 + view.getUint32(60);
  if (!Number.isSafeInteger(size)) throw refuse('di_size', 56, `${size}, expected below 2^53`);
  return {
    number,
    offset,
    kind,
    permissions: permissionsOfMode(mode),
    uid: view.getUint32(8),
    gid: view.getUint32(12),
    links: version === 1 ? view.getUint16(6) : view.getUint32(16),
    size,
    modifiedAt: timeAt(view, 40, (flags2 & FLAG2_BIG_TIME) !== 0),
    realtime: (view.getUint16(90) & FLAG_REALTIME) !== 0,
    data: {
      format: formatOf(5),
      bytes: bytes.subarray(core, dataEnd),
      offset: offset + core,
      extents: many ? count(24) : view.getUint32(76),
    },
    attributes: {
      format: forkOffset === 0 ? 'none' : formatOf(83),
      bytes: bytes.subarray(dataEnd),
      offset: offset + dataEnd,
      extents: many ? view.getUint32(76) : view.getUint16(80),
    },
    ...(kind === 'character-device' || kind === 'block-device' ? { device: deviceOf(view.getUint32(core)) } : {}),
  };
}

/** Device numbers as XFS packs them: 14 bits and 18. */
function deviceOf(packed: number): { readonly major: number; readonly minor: number } {
  return { major: packed >>> 18, minor: packed & 0x3ffff };
}

function timeAt(view: DataView, at: number, big: boolean): number {
  if (big) return Number(view.getBigUint64(at) / NANOSECONDS_PER_MILLISECOND) - BIG_TIME_START_MS;
  return view.getInt32(at) * 1000 + Math.floor(view.getUint32(at + 4) / Number(NANOSECONDS_PER_MILLISECOND));
}
