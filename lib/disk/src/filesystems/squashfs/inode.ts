// Inodes of squashfs, basic and extended (squashfs.rst, section 3.3), and where their contents lie.
import { ParseError } from '@ringwall/bytes';
import type { FileKind } from '../file-system.ts';
import { deviceOfNumber, permissionsOfMode } from '../node-kind.ts';
import type { MetadataCursor } from './metadata.ts';

/** No fragment, no extended attributes. */
const NONE = 0xffff_ffff;

/** A path has 4096 bytes at most (PATH_MAX of Linux). */
const MAX_TARGET_BYTES = 4096;

/** In the order of the types, extended ones 7 higher. */
const KINDS: readonly FileKind[] = [
  'directory',
  'file',
  'symlink',
  'block-device',
  'character-device',
  'fifo',
  'socket',
];

export interface SquashfsInode {
  readonly kind: FileKind;
  readonly permissions: number;
  readonly uidIndex: number;
  readonly gidIndex: number;
  readonly modifiedAt: number;
  readonly number: number;
  readonly links: number;
  readonly xattrIndex: number | undefined;
  readonly size: number;
  readonly directory?: DirectoryPlace;
  readonly file?: FilePlace;
  readonly target?: Uint8Array;
  readonly device?: { readonly major: number; readonly minor: number };
}

export interface DirectoryPlace {
  /** Metadata block from the start of the directory table, and a byte of what it unpacks to. */
  readonly block: number;
  readonly offset: number;
  /** Bytes of its listing. */
  readonly bytes: number;
  /** Entries of the index behind an extended inode; `readIndex` begins there. */
  readonly indexCount: number;
}

export interface FilePlace {
  /** Where the first block lies in the image. */
  readonly start: number;
  readonly fragment: { readonly index: number; readonly offset: number } | undefined;
}

/** The kind that a type of inode says, as directories give it too; undefined for a type that there is not. */
export function kindOfType(type: number): FileKind | undefined {
  return KINDS[(type - 1) % KINDS.length];
}

/** Reads an inode; `cursor` then stands at what follows it: the list of blocks of a file, the index of a directory. */
export function readInode(cursor: MetadataCursor): SquashfsInode {
  const position = cursor.position;
  const type = cursor.u16();
  const kind = type <= 2 * KINDS.length ? kindOfType(type) : undefined;
  if (kind === undefined) throw new ParseError('invalid', 'inode_type', position, `${type}, expected 1..14`);
  const extended = type > KINDS.length;
  const mode = cursor.u16();
  const common = {
    kind,
    permissions: permissionsOfMode(mode),
    uidIndex: cursor.u16(),
    gidIndex: cursor.u16(),
    modifiedAt: cursor.u32() * 1000,
    number: cursor.u32(),
  };
  if (kind === 'directory') return { ...common, ...(extended ? readExtendedDirectory(cursor) : readDirectory(cursor)) };
  if (kind === 'file') return { ...common, ...(extended ? readExtendedFile(cursor) : readFile(cursor)) };
  if (kind === 'symlink') return { ...common, ...readSymlink(cursor, extended) };
  const links = cursor.u32();
  const hasDevice = kind === 'block-device' || kind === 'character-device';
  const device = hasDevice ? { device: deviceOfNumber(cursor.u32()) } : {};
  return { ...common, ...device, links, size: 0, xattrIndex: extended ? xattrIndex(cursor) : undefined };
}

type OfKind = Pick<SquashfsInode, 'links' | 'size' | 'xattrIndex'> & Partial<SquashfsInode>;

function readDirectory(cursor: MetadataCursor): OfKind {
  const block = cursor.u32();
  const links = cursor.u32();
  const size = cursor.u16();
  const offset = cursor.u16();
  cursor.skip(4); // parent_inode
  return { links, size, xattrIndex: undefined, directory: { block, offset, bytes: listingBytes(size), indexCount: 0 } };
}

function readExtendedDirectory(cursor: MetadataCursor): OfKind {
  const links = cursor.u32();
  const size = cursor.u32();
  const block = cursor.u32();
  cursor.skip(4); // parent_inode
  const indexCount = cursor.u16();
  const offset = cursor.u16();
  return {
    links,
    size,
    xattrIndex: xattrIndex(cursor),
    directory: { block, offset, bytes: listingBytes(size), indexCount },
  };
}

/** The size counts three bytes for '.' and '..', which are not stored; an empty directory has no listing. */
function listingBytes(size: number): number {
  return Math.max(size - 3, 0);
}

function readFile(cursor: MetadataCursor): OfKind {
  const start = cursor.u32();
  const fragment = readFragment(cursor);
  return { links: 1, size: cursor.u32(), xattrIndex: undefined, file: { start, fragment } };
}

function readExtendedFile(cursor: MetadataCursor): OfKind {
  const start = cursor.size('start_block');
  const size = cursor.size('file_size');
  cursor.skip(8); // sparse: bytes saved, which only stat shows
  const links = cursor.u32();
  const fragment = readFragment(cursor);
  return { links, size, xattrIndex: xattrIndex(cursor), file: { start, fragment } };
}

function readFragment(cursor: MetadataCursor): FilePlace['fragment'] {
  const index = cursor.u32();
  const offset = cursor.u32();
  return index === NONE ? undefined : { index, offset };
}

function readSymlink(cursor: MetadataCursor, extended: boolean): OfKind {
  const links = cursor.u32();
  const size = cursor.u32();
  if (size > MAX_TARGET_BYTES) {
    throw new ParseError('limit', 'symlink_size', cursor.position, `${size}, expected at most ${MAX_TARGET_BYTES}`);
  }
  const target = cursor.take(size);
  return { links, size, target, xattrIndex: extended ? xattrIndex(cursor) : undefined };
}

function xattrIndex(cursor: MetadataCursor): number | undefined {
  const index = cursor.u32();
  return index === NONE ? undefined : index;
}
