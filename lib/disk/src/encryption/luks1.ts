// The header of LUKS1 (LUKS On-Disk Format Specification 1.2.3, section 3): 592 bytes at the start of the disk.
import { Cursor } from '@ringwall/bytes';
import { tryCipherSpec, type CipherSpec } from './cipher-spec.ts';
import { hashName } from './hash-name.ts';
import { MAX_KEY_BYTES, MAX_STRIPES, type LuksHeader, type LuksSegment, type LuksSlot } from './luks-header.ts';
import { asciiOf } from './header-text.ts';

export const LUKS1_HEADER_BYTES = 592;

const SECTOR_BYTES = 512;
const SLOTS = 8;
const SLOT_ENABLED = 0x00ac71f3;
const SLOT_DISABLED = 0x0000dead;
const DIGEST_BYTES = 20;
const SALT_BYTES = 32;

/** The header in the first bytes of a disk, behind its magic and version. */
export function parseLuks1(bytes: Uint8Array): LuksHeader {
  const cursor = new Cursor(bytes.subarray(0, LUKS1_HEADER_BYTES));
  cursor.skip(8, 'magic and version');
  const cipherName = asciiOf(cursor.take(32, 'cipher-name'), 'cipher-name', 8);
  const cipherMode = asciiOf(cursor.take(32, 'cipher-mode'), 'cipher-mode', 40);
  const hash = hashName(asciiOf(cursor.take(32, 'hash-spec'), 'hash-spec', 72), 'hash-spec', 72);
  const payloadOffset = cursor.u32be('payload-offset');
  const keyBytes = cursor.u32be('key-bytes');
  if (keyBytes < 1 || keyBytes > MAX_KEY_BYTES) {
    throw cursor.error('limit', 'key-bytes', `${keyBytes}, expected 1 to ${MAX_KEY_BYTES}`);
  }
  const digest = cursor.take(DIGEST_BYTES, 'mk-digest');
  const digestSalt = cursor.take(SALT_BYTES, 'mk-digest-salt');
  const digestIterations = positive(cursor, 'mk-digest-iter');
  const uuid = asciiOf(cursor.take(40, 'uuid'), 'uuid', 168);

  const encryption = `${cipherName}-${cipherMode}`;
  const { cipher, refusal } = tryCipherSpec(encryption, keyBytes, 'cipher', 8);
  const slots: LuksSlot[] = [];
  for (let number = 0; number < SLOTS; number += 1) {
    const slot = parseSlot(cursor.sub(48, `key-slot ${number}`), number, { cipher, hash, keyBytes });
    if (slot !== undefined) slots.push(slot);
  }
  const segment: LuksSegment = {
    offset: payloadOffset * SECTOR_BYTES,
    length: undefined,
    encryption,
    cipher,
    refusal,
    sectorBytes: SECTOR_BYTES,
    firstSector: 0,
    integrity: undefined,
  };
  const derivation = { kind: 'pbkdf2', hash, iterations: digestIterations, salt: digestSalt } as const;
  return {
    version: 1,
    uuid,
    label: '',
    slots,
    tokens: [],
    digests: [{ slots: slots.map(({ number }) => number), derivation, digest }],
    segment,
    notes: [],
  };
}

function parseSlot(
  cursor: Cursor,
  number: number,
  common: { readonly cipher: CipherSpec | undefined; readonly hash: string; readonly keyBytes: number },
): LuksSlot | undefined {
  const active = cursor.u32be('active');
  if (active === SLOT_DISABLED) return undefined;
  if (active !== SLOT_ENABLED) {
    throw cursor.error(
      'invalid',
      'active',
      `0x${active.toString(16)} of key slot ${number}, expected enabled or disabled`,
    );
  }
  const iterations = positive(cursor, 'iterations');
  const salt = cursor.take(SALT_BYTES, 'salt');
  const offset = cursor.u32be('key-material-offset') * SECTOR_BYTES;
  const stripes = cursor.u32be('stripes');
  if (stripes < 1 || stripes > MAX_STRIPES) {
    throw cursor.error('limit', 'stripes', `${stripes} of key slot ${number}, expected 1 to ${MAX_STRIPES}`);
  }
  cursor.end('key slot');
  return {
    number,
    keyBytes: common.keyBytes,
    derivation: { kind: 'pbkdf2', hash: common.hash, iterations, salt },
    cipher: common.cipher,
    stripes,
    stripeHash: common.hash,
    offset,
  };
}

function positive(cursor: Cursor, field: string): number {
  const value = cursor.u32be(field);
  if (value < 1) throw cursor.error('invalid', field, '0, expected at least 1');
  return value;
}
