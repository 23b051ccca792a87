// What a thief would have of one volume of a disk: the files of a file system, or what a swap area has kept of memory.
import { readTextAt } from '../filesystems/open-path.ts';
import type { Volume, VolumeContents } from '../open-disk.ts';
import { inspectFiles, type ExposureFind, type FilesReport } from './inspect-files.ts';
import type { ExposureRule } from './rule.ts';
import { EXPOSURE_RULES } from './rules/index.ts';

export interface VolumeExposure {
  readonly volume: Volume;
  /** Of a file system. */
  readonly files: FilesReport | undefined;
  readonly finds: readonly ExposureFind[];
  /** It holds something that nothing here reads, in clear as far as can be seen: a thief may find more than the finds. */
  readonly unread: boolean;
}

export interface InspectVolumeOptions {
  readonly rules?: readonly ExposureRule[];
}

export function inspectVolume(volume: Volume, { rules = EXPOSURE_RULES }: InspectVolumeOptions = {}): VolumeExposure {
  const { contents, size } = volume;
  if (contents.kind === 'file-system') {
    const { fileSystem } = contents;
    const readText = (path: string, maxBytes: number): string | undefined => readTextAt(fileSystem, path, maxBytes);
    const files = inspectFiles(fileSystem, { rules, readText });
    return { volume, files, finds: files.finds, unread: files.incomplete };
  }
  if (contents.kind !== 'recognised' || contents.recognised.format !== 'swap')
    return { volume, files: undefined, finds: [], unread: isUnread(contents) };
  const { hibernated } = contents.recognised;
  const rule = rules.find(({ id }) => id === (hibernated ? 'hibernation' : 'swap'));
  if (rule === undefined) return { volume, files: undefined, finds: [], unread: true };
  const detail = hibernated ? 'an image of memory' : 'memory that was paged out';
  // A volume has no path: it is the find itself.
  const find = { rule, path: '', bytes: size, detail, worth: rule.worth, deleted: false, readableByAll: false };
  return { volume, files: undefined, finds: [find], unread: false };
}

function isUnread(contents: VolumeContents): boolean {
  if (contents.kind === 'damaged' || contents.kind === 'unknown') return true;
  // What lies on LVM follows as volumes of their own.
  return contents.kind === 'recognised' && !contents.recognised.encrypted && contents.recognised.format !== 'lvm';
}
