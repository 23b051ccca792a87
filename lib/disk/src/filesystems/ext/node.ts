// A file, directory or other node of an ext file system, as every file system of this library shows it.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import type { ByteSource } from '../../source/byte-source.ts';
import { checkFileName, decodeFileName } from '../file-name.ts';
import type { DirectoryEntry, FileNode } from '../file-system.ts';
import { UnixNode } from '../unix-node.ts';
import { attributesOf } from './attributes.ts';
import { contentsOf } from './contents.ts';
import { directoryRecords, findInDirectory, nameOf } from './directory.ts';
import { INCOMPAT, INODE_FLAGS } from './features.ts';
import { I_BLOCK_AT, I_BLOCK_BYTES, readInode, type ExtInode } from './inode.ts';
import type { ExtVolume } from './volume.ts';

/** PATH_MAX of Linux: no longer target was ever followed; the format ends it at a block. */
const MAX_TARGET_BYTES = 65_536;
const SECTOR_BYTES = 512;

export class ExtNode extends UnixNode<ExtInode> implements FileNode {
  readonly #volume: ExtVolume;

  constructor(volume: ExtVolume, inode: ExtInode) {
    super(inode);
    this.#volume = volume;
  }

  get encrypted(): boolean {
    return (this.inode.flags & INODE_FLAGS.encrypt) !== 0;
  }

  entries(): Generator<DirectoryEntry> {
    this.expect('directory');
    return this.#entries();
  }

  lookup(name: string): ExtNode | undefined {
    this.expect('directory');
    const number = findInDirectory(this.#volume, this.inode, name);
    return number === 0 ? undefined : openNode(this.#volume, number);
  }

  open(): ByteSource {
    this.expect('file');
    this.#refuseEncrypted();
    return contentsOf(this.#volume, this.inode);
  }

  target(): string {
    this.expect('symlink');
    this.#refuseEncrypted();
    return decodeFileName(targetBytes(this.#volume, this.inode));
  }

  extendedAttributes(): Map<string, Uint8Array> {
    return attributesOf(this.#volume, this.inode);
  }

  *#entries(): Generator<DirectoryEntry> {
    const volume = this.#volume;
    for (const record of directoryRecords(volume, this.inode)) {
      const name = checkFileName(nameOf(this.inode, record.name), 'name', record.offset);
      yield { name, kind: record.kind, id: record.inode, node: () => openNode(volume, record.inode) };
    }
  }

  #refuseEncrypted(): void {
    if (!this.encrypted) return;
    throw new DiskError(
      'needs-key',
      `inode ${this.inode.number} is encrypted (fscrypt), and its key is not on the disk`,
    );
  }
}

/** The node of inode `number`. */
export function openNode(volume: ExtVolume, number: number): ExtNode {
  return new ExtNode(volume, readInode(volume, number));
}

function targetBytes(volume: ExtVolume, inode: ExtInode): Uint8Array {
  if (inode.size > MAX_TARGET_BYTES) {
    const detail = `${inode.size} of symbolic link ${inode.number}, expected at most ${MAX_TARGET_BYTES}`;
    throw new ParseError('limit', 'i_size', inode.offset + 4, detail);
  }
  if (isFast(volume, inode)) return inode.bytes.subarray(I_BLOCK_AT, I_BLOCK_AT + inode.size);
  return contentsOf(volume, inode).read(0, inode.size);
}

/** Whether a symbolic link lies in i_block: it has no blocks but those of attributes (ext4_inode_is_fast_symlink). */
function isFast(volume: ExtVolume, inode: ExtInode): boolean {
  if (inode.flags & INODE_FLAGS.inline_data || inode.size >= I_BLOCK_BYTES) return false;
  const { geometry } = volume;
  if (geometry.incompat & INCOMPAT.ea_inode) return true;
  const attributes = inode.attributeBlock === 0 ? 0 : (geometry.clusterBlocks * geometry.blockBytes) / SECTOR_BYTES;
  return inode.allocated === attributes;
}
