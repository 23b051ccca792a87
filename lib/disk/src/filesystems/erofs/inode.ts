// Inodes of erofs, compact (32 bytes) and extended (64 bytes): fs/erofs/erofs_fs.h.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { deviceOfNumber, kindOfMode, permissionsOfMode } from '../node-kind.ts';
import type { UnixInode } from '../unix-node.ts';
import type { ErofsSuperblock } from './superblock.ts';

const SLOT_BYTES = 32;
const COMPACT_BYTES = 32;
const EXTENDED_BYTES = 64;

/** Inline extended attributes: a header, then words. */
const XATTR_HEADER_BYTES = 12;

const LAYOUTS = ['plain', 'compressed-full', 'inline', 'compressed-compact', 'chunks'] as const;

export type ErofsLayout = (typeof LAYOUTS)[number];

export interface ErofsInode extends UnixInode {
  readonly layout: ErofsLayout;
  /** Block address, device number or chunk format, as the layout has it. */
  readonly union: number;
  /** Where its extended attributes begin, and how many bytes they are. */
  readonly xattrStart: number;
  readonly xattrBytes: number;
  /** Behind them: inline data, or indexes. */
  readonly tailStart: number;
}

export function readErofsInode(source: ByteSource, superblock: ErofsSuperblock, nid: number): ErofsInode {
  const start = superblock.metadataStart + nid * SLOT_BYTES;
  const compact = source.read(start, COMPACT_BYTES);
  const format = (compact[0] ?? 0) | ((compact[1] ?? 0) << 8);
  const extended = (format & 1) === 1;
  const bytes = extended ? source.read(start, EXTENDED_BYTES) : compact;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const layout = LAYOUTS[format >> 1];
  if (layout === undefined)
    throw new ParseError('unsupported', 'i_format', start, `0x${format.toString(16)}, expected 0..9`);

  const xattrCount = view.getUint16(2, true);
  const xattrBytes = xattrCount === 0 ? 0 : XATTR_HEADER_BYTES + 4 * (xattrCount - 1);
  const mode = view.getUint16(4, true);
  const kind = kindOfMode(mode);
  if (kind === undefined)
    throw new ParseError('invalid', 'i_mode', start + 4, `0o${mode.toString(8)}, which is no kind of file`);
  const size = extended ? view.getUint32(8, true) + view.getUint32(12, true) * 2 ** 32 : view.getUint32(8, true);
  if (size > Number.MAX_SAFE_INTEGER) {
    throw new ParseError('limit', 'i_size', start + 8, `${size}, expected at most ${Number.MAX_SAFE_INTEGER}`);
  }
  const union = view.getUint32(16, true);
  const xattrStart = start + bytes.length;
  const seconds = extended ? view.getUint32(32, true) + view.getInt32(36, true) * 2 ** 32 : superblock.buildTime;
  return {
    number: nid,
    kind,
    permissions: permissionsOfMode(mode),
    size,
    uid: extended ? view.getUint32(24, true) : view.getUint16(24, true),
    gid: extended ? view.getUint32(28, true) : view.getUint16(26, true),
    links: extended ? view.getUint32(44, true) : view.getUint16(6, true),
    modifiedAt: seconds * 1000 + (extended ? Math.floor(view.getUint32(40, true) / 1e6) : 0),
    layout,
    union,
    xattrStart,
    xattrBytes,
    tailStart: xattrStart + xattrBytes,
    ...(kind === 'block-device' || kind === 'character-device' ? { device: deviceOfNumber(union) } : {}),
  };
}
