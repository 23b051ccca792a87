// XFS, versions 4 and 5, read without a kernel (XFS Algorithms & Data Structures, 3rd edition).
import { windowOf, type ByteSource } from '../../source/byte-source.ts';
import { uuidText } from '../../uuid.ts';
import type { FileSystem } from '../file-system.ts';
import { logState } from './log.ts';
import { openNode } from './node.ts';
import { INCOMPAT, parseSuperblock, SUPERBLOCK_BYTES, verifySuperblock, XFS_MAGIC } from './superblock.ts';
import { XfsVolume } from './volume.ts';

const LOG_NOTES = {
  clean: [],
  dirty: ['the log is dirty and was not replayed: the newest changes may be missing'],
  unknown: ['the log has no record that could be found: whether changes are missing is not known'],
} as const;

/** Whether an XFS superblock's magic number lies at the start. */
export function recogniseXfs(source: ByteSource): boolean {
  if (source.size < SUPERBLOCK_BYTES) return false;
  const magic = source.read(0, 4);
  return new DataView(magic.buffer, magic.byteOffset, magic.byteLength).getUint32(0) === XFS_MAGIC;
}

/** Opens the file system that fills `source` from its start, as its blocks are: its log is not replayed. */
export function openXfs(source: ByteSource): FileSystem {
  const geometry = parseSuperblock(source.read(0, SUPERBLOCK_BYTES), source.size);
  if (geometry.version === 5) verifySuperblock(source.read(0, geometry.sectorBytes));
  const volume = new XfsVolume(source, geometry);
  return {
    kind: 'xfs',
    label: geometry.label,
    uuid: uuidText(geometry.uuid),
    size: geometry.blocks * geometry.blockBytes,
    // Found out when somebody asks: a search in the log takes longer than reading a file.
    get notes() {
      return notesOf(volume);
    },
    root: openNode(volume, geometry.rootInode),
  };
}

function notesOf(volume: XfsVolume): string[] {
  const { logStart, logBlocks, blockBytes, incompat } = volume.geometry;
  const repair = incompat & INCOMPAT.needsRepair ? ['the file system says that it needs repair'] : [];
  if (logStart === 0) return [...repair, 'the log is on another device, and was not replayed'];
  const place = volume.placeOf(logStart, logBlocks, 'sb_logstart', 48);
  const log = windowOf(volume.source, place * blockBytes, logBlocks * blockBytes, 'log');
  return [...repair, ...LOG_NOTES[logState(log)]];
}
