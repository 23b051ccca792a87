// Opens what an image encrypts by itself: QCOW2 has a LUKS header beside its clusters (QEMU docs/interop/qcow2.txt, "Full
// disk encryption header pointer").
import { DiskError } from '../disk-error.ts';
import type { DecryptSectors, ImageEncryption } from '../images/disk-image.ts';
import { readLuks, unlockLuks, type LuksKey } from './luks.ts';

/**
 * For `openImage`: the first of `keys` that opens it; undefined where none does, and for the method before LUKS, which
 * cannot tell. Throws like `unlockLuks` for any other reason.
 */
export function unlockImage({ header }: ImageEncryption, keys: readonly LuksKey[]): DecryptSectors | undefined {
  if (header === undefined || keys.length === 0) return undefined;
  const luks = readLuks(header);
  for (const key of keys) {
    try {
      const unlocked = unlockLuks(header, luks, key);
      return (sectors, firstSector) => unlocked.decryptSectors(sectors, firstSector);
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'wrong-key')) throw error;
    }
  }
  return undefined;
}
