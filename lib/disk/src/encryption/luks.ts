// LUKS1 and LUKS2 opened: from a header and a passphrase or a volume key to the bytes of the disk.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../disk-error.ts';
import { checkReadLength } from '../filesystems/run-source.ts';
import { checkRange, windowOf, type ByteSource } from '../source/byte-source.ts';
import { mergeStripes } from './anti-forensic.ts';
import { KEY_DERIVATION_LIMITS, KeyDerivationBudget, type KeyDerivationLimits } from './key-derivation.ts';
import { LUKS1_HEADER_BYTES, parseLuks1 } from './luks1.ts';
import { readLuks2 } from './luks2.ts';
import type { LuksHeader, LuksSlot } from './luks-header.ts';
import { nodeCrypto } from './node-crypto.ts';
import { COUNTED_SECTOR_BYTES, sectorCipher, type SectorCipher } from './sector-cipher.ts';

const MAGIC = 'LUKS\xba\xbe';
/** Where a copy of a LUKS2 header may begin whose first was overwritten: the smallest, and by far the most usual one. */
const COPY_MAGIC = 'SKUL\xba\xbe';
const COPY_AT = 16_384;
const MAGIC_BYTES = 6;
const LUKS1 = 1;

/** What opens a header: a passphrase of a key slot, or the volume key itself. */
export type LuksKey = { readonly passphrase: Uint8Array } | { readonly volumeKey: Uint8Array };

export interface UnlockedLuks {
  /** The key slot that the passphrase opened; undefined for a volume key. */
  readonly slot: number | undefined;
  /** The disk inside. */
  readonly disk: ByteSource;
  /**
   * Whole sectors of 512 bytes that lie elsewhere than behind the header, as QCOW2 has them; the first has that number.
   */
  decryptSectors(sectors: Uint8Array, firstSector: number): Uint8Array<ArrayBuffer>;
}

/** Whether a header of LUKS, or the copy of one, lies at the start of `source`. */
export function recogniseLuks(source: ByteSource): boolean {
  return magicAt(source, 0) === MAGIC || magicAt(source, COPY_AT) === COPY_MAGIC;
}

/** What the header says: who can open the disk, and what protects it. Needs no key. */
export function readLuks(source: ByteSource): LuksHeader {
  if (magicAt(source, 0) !== MAGIC) return readLuks2(source);
  const bytes = source.read(0, LUKS1_HEADER_BYTES);
  return (bytes[MAGIC_BYTES] ?? 0) * 256 + (bytes[MAGIC_BYTES + 1] ?? 0) === LUKS1
    ? parseLuks1(bytes)
    : readLuks2(source);
}

/**
 * Opens the disk whose header `source` begins with. Throws `DiskError`: `wrong-key` where the key opens no slot, `limit`
 * where the header asks for more work than `limits`; and `ParseError` (`unsupported`) for a cipher that is not read here.
 */
export function unlockLuks(
  source: ByteSource,
  header: LuksHeader,
  key: LuksKey,
  limits: KeyDerivationLimits = KEY_DERIVATION_LIMITS,
): UnlockedLuks {
  const { segment } = header;
  if (segment.cipher === undefined) throw new ParseError('unsupported', 'encryption', 0, segment.refusal);
  const budget = new KeyDerivationBudget(limits);
  const opened =
    'volumeKey' in key
      ? { slot: undefined, volumeKey: checkVolumeKey(header, key.volumeKey, segment.cipher.keyBytes, budget) }
      : openSlot(source, header, key.passphrase, budget);
  const cipher = sectorCipher(segment.cipher, opened.volumeKey);
  return {
    slot: opened.slot,
    get disk() {
      const length = segment.length ?? Math.max(source.size - segment.offset, 0);
      return decrypted(windowOf(source, segment.offset, length, 'encrypted data'), header, cipher);
    },
    decryptSectors(sectors, firstSector) {
      if (sectors.length % COUNTED_SECTOR_BYTES !== 0) {
        throw new ParseError('invalid', 'sectors', 0, `have ${sectors.length} bytes, expected whole sectors of 512`);
      }
      return cipher.decrypt(sectors, firstSector, COUNTED_SECTOR_BYTES);
    },
  };
}

function magicAt(source: ByteSource, offset: number): string {
  return source.size < offset + LUKS1_HEADER_BYTES ? '' : String.fromCharCode(...source.read(offset, MAGIC_BYTES));
}

/** The volume key that the passphrase gives; every slot that leads to the data is tried. */
function openSlot(
  source: ByteSource,
  header: LuksHeader,
  passphrase: Uint8Array,
  budget: KeyDerivationBudget,
): { slot: number; volumeKey: Uint8Array } {
  for (const slot of header.slots) {
    if (slot.cipher === undefined || !header.digests.some(({ slots }) => slots.includes(slot.number))) continue;
    const volumeKey = keyInSlot(source, slot, passphrase, budget);
    if (isRight(header, volumeKey, slot.number, budget)) return { slot: slot.number, volumeKey };
  }
  throw new DiskError('wrong-key', `the passphrase opens none of ${header.slots.length} key slots`);
}

function keyInSlot(
  source: ByteSource,
  slot: LuksSlot,
  passphrase: Uint8Array,
  budget: KeyDerivationBudget,
): Uint8Array {
  if (slot.cipher === undefined) return new Uint8Array(0);
  const bytes = slot.keyBytes * slot.stripes;
  const sectors = Math.ceil(bytes / COUNTED_SECTOR_BYTES);
  const encrypted = windowOf(source, slot.offset, sectors * COUNTED_SECTOR_BYTES, `stripes of key slot ${slot.number}`);
  const slotKey = budget.derive(passphrase, slot.derivation, slot.cipher.keyBytes);
  const stripes = sectorCipher(slot.cipher, slotKey).decrypt(
    encrypted.read(0, encrypted.size),
    0,
    COUNTED_SECTOR_BYTES,
  );
  slotKey.fill(0);
  const volumeKey = mergeStripes(stripes, slot.keyBytes, slot.stripes, slot.stripeHash);
  stripes.fill(0);
  return volumeKey;
}

function checkVolumeKey(
  header: LuksHeader,
  volumeKey: Uint8Array,
  keyBytes: number,
  budget: KeyDerivationBudget,
): Uint8Array {
  if (volumeKey.length === keyBytes && isRight(header, volumeKey, undefined, budget)) return volumeKey;
  throw new DiskError('wrong-key', 'the volume key is not the one of this header');
}

function isRight(
  header: LuksHeader,
  volumeKey: Uint8Array,
  slot: number | undefined,
  budget: KeyDerivationBudget,
): boolean {
  if (volumeKey.length !== header.segment.cipher?.keyBytes) return false;
  return header.digests
    .filter(({ slots }) => slot === undefined || slots.includes(slot))
    .some(({ derivation, digest }) =>
      nodeCrypto().timingSafeEqual(budget.derive(volumeKey, derivation, digest.length), digest),
    );
}

/** `data` decrypted sector by sector, as it is read. */
function decrypted(data: ByteSource, header: LuksHeader, cipher: SectorCipher): ByteSource {
  const { sectorBytes, firstSector } = header.segment;
  const size = data.size - (data.size % sectorBytes);
  return {
    size,
    read(offset, length) {
      checkRange(offset, length, size, 'decrypted disk');
      checkReadLength(length, 'decrypted disk');
      const start = offset - (offset % sectorBytes);
      const end = Math.ceil((offset + length) / sectorBytes) * sectorBytes;
      const plain = cipher.decrypt(
        data.read(start, end - start),
        firstSector + start / COUNTED_SECTOR_BYTES,
        sectorBytes,
      );
      return plain.subarray(offset - start, offset - start + length);
    },
  };
}
