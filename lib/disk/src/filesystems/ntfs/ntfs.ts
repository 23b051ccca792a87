// NTFS 3.1 as a file system: disks of Windows.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import type { FileSystem } from '../file-system.ts';
import { parseNtfsBootSector } from './boot-sector.ts';
import { deletedFilesOf } from './deleted.ts';
import { NtfsNode } from './node.ts';
import { NtfsVolume, ROOT } from './volume.ts';

export interface Ntfs extends FileSystem {
  readonly kind: 'ntfs';
  readonly root: NtfsNode;
}

export function openNtfs(source: ByteSource): Ntfs {
  const geometry = parseNtfsBootSector(source);
  const volume = new NtfsVolume(source, geometry);
  const root = new NtfsNode(volume, volume.file(ROOT));
  if (root.kind !== 'directory') {
    throw new ParseError('invalid', 'root', volume.positionOf(ROOT), `is a ${root.kind}, expected a directory`);
  }
  return {
    kind: 'ntfs',
    label: volume.label(),
    uuid: geometry.serial,
    size: geometry.size,
    notes: volume.notes(),
    root,
    deletedFiles: () => deletedFilesOf(volume),
  };
}
