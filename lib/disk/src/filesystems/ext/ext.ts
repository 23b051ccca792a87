// ext2, ext3 and ext4, read without a kernel (Linux Documentation/filesystems/ext4).
import type { ByteSource } from '../../source/byte-source.ts';
import { uuidText } from '../../uuid.ts';
import type { FileSystem } from '../file-system.ts';
import { deletedFiles } from './deleted.ts';
import { INCOMPAT } from './features.ts';
import { replayJournal } from './journal/replay.ts';
import { openNode } from './node.ts';
import { EXT_MAGIC, parseSuperblock, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET } from './superblock.ts';
import { ExtVolume } from './volume.ts';

const ROOT_INODE = 2;
const MAGIC_AT = SUPERBLOCK_OFFSET + 0x38;

/** Whether an ext superblock's magic number lies where it must. */
export function recogniseExt(source: ByteSource): boolean {
  if (source.size < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) return false;
  const magic = source.read(MAGIC_AT, 2);
  return magic[0] === (EXT_MAGIC & 0xff) && magic[1] === EXT_MAGIC >> 8;
}

/**
 * Opens the file system that fills `source` from its start. One that was not unmounted is read as its journal would leave it.
 */
export function openExt(source: ByteSource): FileSystem {
  const written = volumeOf(source);
  const needsReplay = (written.geometry.incompat & INCOMPAT.recover) !== 0;
  const replay = needsReplay ? replayJournal(written) : { source, notes: [] };
  const volume = replay.source === source ? written : volumeOf(replay.source);
  const { geometry } = volume;
  return {
    kind: geometry.kind,
    label: geometry.label,
    uuid: uuidText(geometry.uuid),
    size: geometry.blocks * geometry.blockBytes,
    notes: replay.notes,
    root: openNode(volume, ROOT_INODE),
    deletedFiles: () => deletedFiles(volume),
  };
}

function volumeOf(source: ByteSource): ExtVolume {
  const superblock = source.read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES);
  return new ExtVolume(source, parseSuperblock(superblock, source.size));
}
