// FAT12, FAT16 and FAT32 as a file system: EFI system partitions, sticks, cards.
import type { ByteSource } from '../../source/byte-source.ts';
import type { FileSystem } from '../file-system.ts';
import { parseFatBootSector } from './boot-sector.ts';
import { deletedFilesOf } from './deleted.ts';
import { FatNode } from './node.ts';
import { FatVolume } from './volume.ts';

export function openFat(source: ByteSource): FileSystem {
  const volume = new FatVolume(source, parseFatBootSector(source));
  const { geometry } = volume;
  const id = geometry.volumeId.toString(16).toUpperCase().padStart(8, '0');
  return {
    kind: geometry.kind,
    label: volume.label(),
    uuid: `${id.slice(0, 4)}-${id.slice(4)}`,
    size: geometry.size,
    root: new FatNode(volume, undefined),
    deletedFiles: () => deletedFilesOf(volume),
  };
}
