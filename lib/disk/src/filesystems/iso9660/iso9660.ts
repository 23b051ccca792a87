// ISO 9660 as a file system: install media, seeds of cloud-init, discs; with the names of Rock Ridge, or else of Joliet.
import type { ByteSource } from '../../source/byte-source.ts';
import type { FileSystem } from '../file-system.ts';
import { readBootCatalog, type BootEntry } from './boot-catalog.ts';
import { IsoNode } from './node.ts';
import { readVolumeDescriptors } from './volume-descriptors.ts';
import { IsoVolume } from './volume.ts';

export interface Iso9660 extends FileSystem {
  readonly kind: 'iso9660';
  /** Which names it is read by. */
  readonly names: 'rock-ridge' | 'joliet' | 'plain';
  /** What firmware starts from it (El Torito); read when asked for. */
  bootEntries(): readonly BootEntry[];
}

export function openIso9660(source: ByteSource): Iso9660 {
  const descriptors = readVolumeDescriptors(source);
  const { primary, bootCatalog } = descriptors;
  const volume = new IsoVolume(source, descriptors);
  return {
    kind: 'iso9660',
    names: volume.names,
    label: volume.descriptor.label,
    uuid: primary.uuid,
    size: primary.size,
    root: new IsoNode(volume, volume.root()),
    bootEntries: () => (bootCatalog === undefined ? [] : readBootCatalog(source, bootCatalog)),
  };
}
