// A file, directory or other node of XFS, as every file system of this library shows it.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { checkFileName, decodeFileName, encodeFileName } from '../file-name.ts';
import type { DirectoryEntry, FileNode } from '../file-system.ts';
import { UnixNode } from '../unix-node.ts';
import { attributesOf } from './attributes.ts';
import { directoryRecords } from './directory.ts';
import { forkSource } from './fork.ts';
import { readInode, type XfsInode } from './inode.ts';
import type { XfsVolume } from './volume.ts';

/** XFS_SYMLINK_MAXLEN. */
const MAX_TARGET_BYTES = 1024;
const SYMLINK_MAGIC = 0x58534c4d;
const SYMLINK_HEADER_BYTES = 56;
const SYMLINK_CHECKSUM_AT = 12;

export class XfsNode extends UnixNode<XfsInode> implements FileNode {
  readonly #volume: XfsVolume;

  constructor(volume: XfsVolume, inode: XfsInode) {
    super(inode);
    this.#volume = volume;
  }

  entries(): Generator<DirectoryEntry> {
    this.expect('directory');
    return this.#entries();
  }

  lookup(name: string): XfsNode | undefined {
    this.expect('directory');
    const { caseInsensitive } = this.#volume.geometry;
    const wanted = encodeFileName(caseInsensitive ? lowerAscii(name) : name);
    for (const record of directoryRecords(this.#volume, this.inode)) {
      if (record.name.length !== wanted.length) continue;
      const found = caseInsensitive ? encodeFileName(lowerAscii(decodeFileName(record.name))) : record.name;
      if (wanted.every((byte, index) => byte === found[index])) return openNode(this.#volume, record.inode);
    }
    return undefined;
  }

  open(): ByteSource {
    this.expect('file');
    const inode = this.inode;
    if (inode.realtime) {
      const detail = `of inode ${inode.number}: contents lie on the realtime device`;
      throw new ParseError('unsupported', 'di_flags', inode.offset + 90, detail);
    }
    return forkSource(this.#volume, inode, inode.data, inode.size);
  }

  target(): string {
    this.expect('symlink');
    return decodeFileName(targetBytes(this.#volume, this.inode));
  }

  extendedAttributes(): Map<string, Uint8Array> {
    return attributesOf(this.#volume, this.inode);
  }

  *#entries(): Generator<DirectoryEntry> {
    const volume = this.#volume;
    for (const record of directoryRecords(volume, this.inode)) {
      const name = checkFileName(decodeFileName(record.name), 'name', record.offset);
      yield { name, kind: record.kind, id: record.inode, node: () => openNode(volume, record.inode) };
    }
  }
}

/** The node of inode `number`. */
export function openNode(volume: XfsVolume, number: number): XfsNode {
  return new XfsNode(volume, readInode(volume, number));
}

function targetBytes(volume: XfsVolume, inode: XfsInode): Uint8Array {
  const { size } = inode;
  if (size > MAX_TARGET_BYTES) {
    const detail = `${size} of symbolic link ${inode.number}, expected at most ${MAX_TARGET_BYTES}`;
    throw new ParseError('limit', 'di_size', inode.offset + 56, detail);
  }
  if (inode.data.format === 'local') return inode.data.bytes.subarray(0, size);
  const { version, blockBytes } = volume.geometry;
  if (version === 4) return forkSource(volume, inode, inode.data, size).read(0, size);
  // Blocks of version 5 have each a header.
  const inBlock = blockBytes - SYMLINK_HEADER_BYTES;
  const count = Math.ceil(size / inBlock);
  const source = forkSource(volume, inode, inode.data, count * blockBytes);
  const target = new Uint8Array(size);
  for (let index = 0; index < count; index += 1) {
    const block = source.read(index * blockBytes, blockBytes);
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    if (view.getUint32(0) !== SYMLINK_MAGIC) {
      throw new ParseError('invalid', 'sl_magic', inode.offset, `of symbolic link ${inode.number}, expected XSLM`);
    }
    volume.verify(block, SYMLINK_CHECKSUM_AT, `sl_crc of symbolic link ${inode.number}`, inode.offset);
    const bytes = Math.min(inBlock, size - index * inBlock);
    target.set(block.subarray(SYMLINK_HEADER_BYTES, SYMLINK_HEADER_BYTES + bytes), index * inBlock);
  }
  return target;
}

/** XFS folds the letters of ASCII only. */
function lowerAscii(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}
