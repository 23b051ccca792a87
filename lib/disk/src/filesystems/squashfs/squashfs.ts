// squashfs 4.0 as a file system: what Ringwall's own system images are, and most live systems and containers in one file.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import type { Codecs } from '../../source/codecs.ts';
import { codecNamed } from '../../source/decompress.ts';
import { compareBytes } from '../compare-bytes.ts';
import { decodeFileName, encodeFileName } from '../file-name.ts';
import type { DirectoryEntry, FileKind, FileNode, FileSystem } from '../file-system.ts';
import { wrongKind } from '../node-kind.ts';
import { SquashfsData } from './contents.ts';
import { findInIndex, nameOf, readListing, type SquashfsEntry } from './directory.ts';
import { readInode, type DirectoryPlace, type SquashfsInode } from './inode.ts';
import { MetadataBlocks, type MetadataCursor } from './metadata.ts';
import {
  parseInodeReference,
  parseSquashfsSuperblock,
  type InodeReference,
  type SquashfsSuperblock,
} from './superblock.ts';
import { NumberedTable } from './tables.ts';
import { SquashfsXattrs } from './xattrs.ts';

export interface Squashfs extends FileSystem {
  readonly kind: 'squashfs';
  /** Any node by its number, without its path, where the image has a table for it; undefined where it has none. */
  nodeNumbered(number: number): FileNode | undefined;
}

export function openSquashfs(source: ByteSource, { codecs }: { readonly codecs: Codecs }): Squashfs {
  const superblock = parseSquashfsSuperblock(source);
  const volume = new Volume(source, superblock, codecs);
  const root = volume.node(superblock.rootReference);
  if (root.kind !== 'directory')
    throw new ParseError('invalid', 'root_inode', 32, `is a ${root.kind}, expected a directory`);
  return {
    kind: 'squashfs',
    label: '',
    uuid: '',
    size: superblock.bytesUsed,
    root,
    nodeNumbered: (number) => volume.nodeNumbered(number),
  };
}

class Volume {
  readonly superblock: SquashfsSuperblock;
  readonly blocks: MetadataBlocks;
  readonly data: SquashfsData;
  readonly #ids: NumberedTable;
  readonly #exported: NumberedTable;
  readonly #source: ByteSource;
  #xattrs: SquashfsXattrs | undefined;

  constructor(source: ByteSource, superblock: SquashfsSuperblock, codecs: Codecs) {
    const decompress = codecNamed(codecs, superblock.codec);
    this.#source = source;
    this.superblock = superblock;
    this.blocks = new MetadataBlocks(source, decompress);
    const table = (start: number | undefined, count: number, entryBytes: number, field: string): NumberedTable =>
      new NumberedTable(source, this.blocks, { start, count, entryBytes, field });
    this.#ids = table(superblock.idTable, superblock.idCount, 4, 'id table');
    this.#exported = table(superblock.exportTable, superblock.inodeCount, 8, 'lookup table');
    const fragments = table(superblock.fragmentTable, superblock.fragmentCount, 16, 'fragment table');
    this.data = new SquashfsData(source, decompress, fragments, superblock.blockBytes);
  }

  node(reference: InodeReference): SquashfsNode {
    return new SquashfsNode(this, reference);
  }

  nodeNumbered(number: number): FileNode | undefined {
    if (this.superblock.exportTable === undefined || number < 1 || number > this.superblock.inodeCount)
      return undefined;
    const entry = this.#exported.entry(number - 1);
    return this.node(parseInodeReference(entry.u64(), 'lookup table', entry.position));
  }

  inodeCursor({ block, offset }: InodeReference): MetadataCursor {
    return this.blocks.cursor(this.superblock.inodeTable + block, offset);
  }

  id(index: number): number {
    return this.#ids.entry(index).u32();
  }

  xattrs(index: number): ReadonlyMap<string, Uint8Array> {
    const { xattrTable } = this.superblock;
    if (xattrTable === undefined) return new Map();
    this.#xattrs ??= new SquashfsXattrs(this.#source, this.blocks, xattrTable);
    return this.#xattrs.at(index);
  }
}

class SquashfsNode implements FileNode {
  readonly #volume: Volume;
  readonly #reference: InodeReference;
  readonly #inode: SquashfsInode;
  readonly device?: { readonly major: number; readonly minor: number };

  constructor(volume: Volume, reference: InodeReference) {
    this.#volume = volume;
    this.#reference = reference;
    this.#inode = readInode(volume.inodeCursor(reference));
    if (this.#inode.device !== undefined) this.device = this.#inode.device;
  }

  get id(): number {
    return this.#inode.number;
  }

  get kind(): FileKind {
    return this.#inode.kind;
  }

  get size(): number {
    return this.#inode.kind === 'file' || this.#inode.kind === 'symlink' ? this.#inode.size : 0;
  }

  get permissions(): number {
    return this.#inode.permissions;
  }

  get uid(): number {
    return this.#volume.id(this.#inode.uidIndex);
  }

  get gid(): number {
    return this.#volume.id(this.#inode.gidIndex);
  }

  get links(): number {
    return this.#inode.links;
  }

  get modifiedAt(): number {
    return this.#inode.modifiedAt;
  }

  entries(): Iterable<DirectoryEntry> {
    return this.#entries(this.#directory());
  }

  lookup(name: string): FileNode | undefined {
    const place = this.#directory();
    const wanted = encodeFileName(name);
    const start = place.indexCount === 0 ? undefined : findInIndex(this.#behindInode(), place, wanted);
    for (const entry of this.#listing(place, start)) {
      const order = compareBytes(entry.rawName, wanted);
      if (order === 0) return this.#volume.node(entry.reference);
      if (order > 0) return undefined;
    }
    return undefined;
  }

  open(): ByteSource {
    if (this.#inode.file === undefined) throw wrongKind(this.kind, 'file');
    return this.#volume.data.open(this.#inode.file, this.#inode.size, () => this.#behindInode());
  }

  target(): string {
    if (this.#inode.target === undefined) throw wrongKind(this.kind, 'symlink');
    return decodeFileName(this.#inode.target);
  }

  extendedAttributes(): ReadonlyMap<string, Uint8Array> {
    const { xattrIndex } = this.#inode;
    return xattrIndex === undefined ? new Map() : this.#volume.xattrs(xattrIndex);
  }

  #directory(): DirectoryPlace {
    if (this.#inode.directory === undefined) throw wrongKind(this.kind, 'directory');
    return this.#inode.directory;
  }

  #listing(place: DirectoryPlace, start?: Parameters<typeof readListing>[3]): Iterable<SquashfsEntry> {
    return readListing(this.#volume.blocks, this.#volume.superblock.directoryTable, place, start);
  }

  *#entries(place: DirectoryPlace): Generator<DirectoryEntry> {
    const volume = this.#volume;
    for (const entry of this.#listing(place)) {
      yield {
        name: nameOf(entry, volume.superblock.directoryTable + place.block),
        kind: entry.kind,
        id: entry.number,
        node: () => volume.node(entry.reference),
      };
    }
  }

  /** A cursor at what follows the inode. */
  #behindInode(): MetadataCursor {
    const cursor = this.#volume.inodeCursor(this.#reference);
    readInode(cursor);
    return cursor;
  }
}
