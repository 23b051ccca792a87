// What a thief would have of one volume of a disk: the files of a file system, or what a swap area has kept of memory.
import { readTextAt } from '../filesystems/open-path.ts';
import type { Volume } from '../open-disk.ts';
import { inspectFiles, type ExposureFind, type FilesReport } from './inspect-files.ts';
import type { ExposureRule } from './rule.ts';
import { EXPOSURE_RULES } from './rules/index.ts';

export interface VolumeExposure {
  readonly volume: Volume;
  /** Of a file system. */
  readonly files: FilesReport | undefined;
  readonly finds: readonly ExposureFind[];
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
    return { volume, files, finds: files.finds };
  }
  if (contents.kind !== 'recognised' || contents.recognised.format !== 'swap')
    return { volume, files: undefined, finds: [] };
  const { hibernated } = contents.recognised;
  const rule = rules.find(({ id }) => id === (hibernated ? 'hibernation' : 'swap'));
  if (rule === undefined) return { volume, files: undefined, finds: [] };
  const detail = hibernated ? 'an image of memory' : 'memory that was paged out';
  // A volume has no path: it is the find itself.
  const find = { rule, path: '', bytes: size, detail, worth: rule.worth, deleted: false, readableByAll: false };
  return { volume, files: undefined, finds: [find] };
}
