// The public names of @ringwall/disk.

export { DISK_ERROR_CODES, DiskError, type DiskErrorCode } from './disk-error.ts';
export type {
  DeletedFile,
  DirectoryEntry,
  FileKind,
  FileNode,
  FileSystem,
  FileSystemKind,
} from './filesystems/file-system.ts';
export { dataWithin, memorySource, readInto, windowOf, type ByteSource, type Extent } from './source/byte-source.ts';
export { parseImageHeader, openImage } from './images/open-image.ts';
export {
  IMAGE_FORMATS,
  type DecryptSectors,
  type DiskImage,
  type ExternalReference,
  type ImageEncryption,
  type ImageFormat,
  type ImageHeader,
  type ImageSnapshot,
  type OpenImageOptions,
} from './images/disk-image.ts';
export type { Codecs, Decompress } from './source/codecs.ts';
export { openErofs } from './filesystems/erofs/erofs.ts';
export { openFat } from './filesystems/fat/fat.ts';
export type { BootEntry, BootPlatform } from './filesystems/iso9660/boot-catalog.ts';
export { openIso9660, type Iso9660 } from './filesystems/iso9660/iso9660.ts';
export { openNtfs, type Ntfs } from './filesystems/ntfs/ntfs.ts';
export { openSquashfs, type Squashfs } from './filesystems/squashfs/squashfs.ts';
export type { Account } from './exposure/accounts.ts';
export { inspectFiles, type ExposureFind, type FilesReport, type InspectOptions } from './exposure/inspect-files.ts';
export { inspectVolume, type InspectVolumeOptions, type VolumeExposure } from './exposure/inspect-volume.ts';
export type { OperatingSystem, ReadText } from './exposure/operating-system.ts';
export { passwordKind, type PasswordKind, type PasswordStrength } from './exposure/password-hashes.ts';
export { EXPOSURE_CATEGORIES, type ExposureCategory, type ExposureRule } from './exposure/rule.ts';
export { EXPOSURE_RULES } from './exposure/rules/index.ts';
export { scoreOf, type ExposureGrade, type ExposureScore } from './exposure/score.ts';
export { openExt, recogniseExt } from './filesystems/ext/ext.ts';
export { encodeFileName } from './filesystems/file-name.ts';
export { openPath, readTextAt, type PathOptions } from './filesystems/open-path.ts';
export {
  contentsOf,
  openDisk,
  type Disk,
  type OpenDiskOptions,
  type Volume,
  type VolumeContents,
} from './open-disk.ts';
export {
  IMPORT_REFUSALS,
  judgeImport,
  MAX_IMPORTED_DISK_BYTES,
  type ImportLimits,
  type ImportRefusal,
  type ImportRefusalCode,
} from './import-gate.ts';
export { openPartition, type Partition, type PartitionScheme, type PartitionTable } from './partitions/partition.ts';
export { readPartitionTable } from './partitions/partition-table.ts';
export { openOva, recogniseOva, type ManifestDigest, type Ova, type OvaDisk, type OvaFile } from './images/ova/ova.ts';
export type { OvfDisk } from './images/ova/ovf.ts';
export { recognise, type Recognised, type RecognisedFormat } from './recognised.ts';
export { KEY_DERIVATION_LIMITS, type KeyDerivation, type KeyDerivationLimits } from './encryption/key-derivation.ts';
export { readLuks, recogniseLuks, unlockLuks, type LuksKey, type UnlockedLuks } from './encryption/luks.ts';
export { splitStripes } from './encryption/anti-forensic.ts';
export { unlockImage } from './encryption/unlock-image.ts';
export type { LuksHeader, LuksSegment, LuksSlot } from './encryption/luks-header.ts';
export { recogniseLvm } from './partitions/lvm/lvm-label.ts';
export { readVolumeGroup, type LogicalVolume, type VolumeGroup } from './partitions/lvm/volume-group.ts';
export { openXfs, recogniseXfs } from './filesystems/xfs/xfs.ts';
