// erofs as a file system: read-only images of Linux distributions, containers and phones, plain or compressed with LZ4.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { checkFileName, decodeFileName, encodeFileName } from '../file-name.ts';
import type { DirectoryEntry, FileKind, FileNode, FileSystem } from '../file-system.ts';
import { UnixNode } from '../unix-node.ts';
import { ErofsCompressed } from './compressed-contents.ts';
import { findEntry, readDirectory, type ErofsEntry } from './directory.ts';
import { openChunks, openFlat } from './flat-contents.ts';
import { readErofsInode, type ErofsInode } from './inode.ts';
import { parseErofsSuperblock, type ErofsSuperblock } from './superblock.ts';
import { ErofsXattrs } from './xattrs.ts';

/** A path has 4096 bytes at most (PATH_MAX of Linux). */
const MAX_TARGET_BYTES = 4096;

export function openErofs(source: ByteSource): FileSystem & { readonly kind: 'erofs' } {
  const superblock = parseErofsSuperblock(source);
  const root = new Volume(source, superblock).node(superblock.rootNid);
  if (root.kind !== 'directory') {
    throw new ParseError(
      'invalid',
      'root_nid',
      1024 + 14,
      `${superblock.rootNid} is a ${root.kind}, expected a directory`,
    );
  }
  return { kind: 'erofs', label: superblock.label, uuid: superblock.uuid, size: superblock.size, root };
}

class Volume {
  readonly superblock: ErofsSuperblock;
  readonly xattrs: ErofsXattrs;
  readonly #source: ByteSource;
  readonly #compressed: ErofsCompressed;

  constructor(source: ByteSource, superblock: ErofsSuperblock) {
    this.#source = source;
    this.superblock = superblock;
    this.xattrs = new ErofsXattrs(source, superblock);
    this.#compressed = new ErofsCompressed(source, superblock);
  }

  node(nid: number): ErofsNode {
    return new ErofsNode(this, readErofsInode(this.#source, this.superblock, nid));
  }

  contents(inode: ErofsInode): ByteSource {
    if (inode.layout === 'chunks') return openChunks(this.#source, this.superblock, inode);
    if (inode.layout === 'plain' || inode.layout === 'inline') return openFlat(this.#source, this.superblock, inode);
    return this.#compressed.open(inode);
  }
}

class ErofsNode extends UnixNode<ErofsInode> implements FileNode {
  readonly #volume: Volume;

  constructor(volume: Volume, inode: ErofsInode) {
    super(inode);
    this.#volume = volume;
  }

  entries(): Iterable<DirectoryEntry> {
    return this.#entries(this.#contents('directory'));
  }

  lookup(name: string): FileNode | undefined {
    const contents = this.#contents('directory');
    if (name === '.' || name === '..') return undefined;
    const found = findEntry(contents, this.#volume.superblock.blockBytes, encodeFileName(name));
    return found === undefined ? undefined : this.#volume.node(found.nid);
  }

  open(): ByteSource {
    return this.#contents('file');
  }

  target(): string {
    const contents = this.#contents('symlink');
    if (contents.size > MAX_TARGET_BYTES) {
      const limit = `${contents.size} bytes of a symlink, expected at most ${MAX_TARGET_BYTES}`;
      throw new ParseError('limit', 'i_size', this.inode.xattrStart, limit);
    }
    return decodeFileName(contents.read(0, contents.size));
  }

  extendedAttributes(): ReadonlyMap<string, Uint8Array> {
    return this.#volume.xattrs.of(this.inode);
  }

  #contents(wanted: FileKind): ByteSource {
    this.expect(wanted);
    return this.#volume.contents(this.inode);
  }

  *#entries(contents: ByteSource): Generator<DirectoryEntry> {
    const volume = this.#volume;
    for (const entry of readDirectory(contents, volume.superblock.blockBytes)) {
      const name = decodeFileName(entry.rawName);
      if (name === '.' || name === '..') continue;
      yield toEntry(entry, checkFileName(name, 'dirent name', this.inode.xattrStart), volume);
    }
  }
}

function toEntry({ nid, kind }: ErofsEntry, name: string, volume: Volume): DirectoryEntry {
  return { name, kind, id: nid, node: () => volume.node(nid) };
}
