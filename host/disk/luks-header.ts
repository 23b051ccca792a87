// The header of a new LUKS1 disk with one key slot, as QEMU reads it (LUKS On-Disk Format Specification 1.2.3, section 3). QEMU
// would write the same, but first measures for two seconds how fast it can stretch a key that needs no stretching.
import { createCipheriv, pbkdf2Sync, randomBytes, randomUUID } from 'node:crypto';
import { concatBytes, equalBytes, utf8, Writer } from '@ringwall/bytes';
import { splitStripes } from '@ringwall/disk';

const SECTOR_BYTES = 512;
const SLOTS = 8;
const SLOT_ENABLED = 0x00ac71f3;
const SLOT_DISABLED = 0x0000dead;
const HASH = 'sha256';
const SALT_BYTES = 32;
const DIGEST_BYTES = 20;
/** Two keys of AES-256. */
const VOLUME_KEY_BYTES = 64;
/** cryptsetup's, and the only number that QEMU takes. */
const STRIPES = 4000;
/** The least that RFC 8018 recommends: the passphrase is 256 random bits. */
const ITERATIONS = 1000;

const FIRST_SLOT_SECTOR = 8;
/** What the stripes take, in whole pages. */
const SLOT_SECTORS = Math.ceil((VOLUME_KEY_BYTES * STRIPES) / 4096) * 8;
/** Where the contents begin: behind the last slot, at a whole MiB. */
const PAYLOAD_SECTOR = 4096;

export const LUKS_HEADER_BYTES: number = PAYLOAD_SECTOR * SECTOR_BYTES;

/** Of the fields alone: behind them lie the slots' stripes. */
export const LUKS_FIELDS_BYTES = 592;
/** Digest and salt of the volume key, the id, and the salt of the first slot: what no two headers have in common. */
const OWN_RANGES = [
  [112, 164],
  [168, 208],
  [216, 248],
] as const;

/**
 * Whether a disk that came from elsewhere begins like one of ours. A header says how long its reader works on a key, and where the contents
 * lie; salts, digests and the id are anybody's.
 */
export function isOurLuksHeader(beginning: Uint8Array): boolean {
  const blank = new Uint8Array(SALT_BYTES);
  const ours = fieldsOf({ digest: new Uint8Array(DIGEST_BYTES), digestSalt: blank, uuid: '', slotSalt: blank });
  return equalBytes(withoutOwn(ours), withoutOwn(beginning.subarray(0, LUKS_FIELDS_BYTES)));
}

/** All that lies before the contents. The volume key is made here, and exists nowhere else afterwards. */
export function makeLuksHeader(passphrase: Uint8Array): Uint8Array {
  const volumeKey = randomBytes(VOLUME_KEY_BYTES);
  const [digestSalt, slotSalt] = [randomBytes(SALT_BYTES), randomBytes(SALT_BYTES)];
  const digest = pbkdf2Sync(volumeKey, digestSalt, ITERATIONS, DIGEST_BYTES, HASH);
  const stripes = splitStripes(volumeKey, STRIPES, HASH);
  volumeKey.fill(0);
  const slotKey = pbkdf2Sync(passphrase, slotSalt, ITERATIONS, VOLUME_KEY_BYTES, HASH);
  const header = new Uint8Array(LUKS_HEADER_BYTES);
  header.set(fieldsOf({ digest, digestSalt, uuid: randomUUID(), slotSalt }));
  header.set(encryptSectors(slotKey, stripes), FIRST_SLOT_SECTOR * SECTOR_BYTES);
  slotKey.fill(0);
  stripes.fill(0);
  return header;
}

interface OwnFields {
  readonly digest: Uint8Array;
  readonly digestSalt: Uint8Array;
  readonly uuid: string;
  readonly slotSalt: Uint8Array;
}

function fieldsOf({ digest, digestSalt, uuid, slotSalt }: OwnFields): Uint8Array<ArrayBuffer> {
  const fields = new Writer()
    .bytes(Uint8Array.of(0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe))
    .u16be(1)
    .bytes(text('aes', 32))
    .bytes(text('xts-plain64', 32))
    .bytes(text(HASH, 32))
    .u32be(PAYLOAD_SECTOR)
    .u32be(VOLUME_KEY_BYTES)
    .bytes(digest)
    .bytes(digestSalt)
    .u32be(ITERATIONS)
    .bytes(text(uuid, 40));
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const isUsed = slot === 0;
    fields
      .u32be(isUsed ? SLOT_ENABLED : SLOT_DISABLED)
      .u32be(isUsed ? ITERATIONS : 0)
      .bytes(isUsed ? slotSalt : new Uint8Array(SALT_BYTES))
      .u32be(FIRST_SLOT_SECTOR + slot * SLOT_SECTORS)
      .u32be(STRIPES);
  }
  return fields.finish();
}

function withoutOwn(fields: Uint8Array): Uint8Array {
  const rest = new Uint8Array(fields);
  for (const [from, to] of OWN_RANGES) rest.fill(0, from, to);
  return rest;
}

/** AES-256-XTS with the sector's number as its tweak, the first being 0. */
function encryptSectors(key: Uint8Array, plain: Uint8Array): Uint8Array {
  const sectors: Uint8Array[] = [];
  for (let at = 0; at < plain.length; at += SECTOR_BYTES) {
    const tweak = Buffer.alloc(16);
    tweak.writeUInt32LE(at / SECTOR_BYTES);
    sectors.push(createCipheriv('aes-256-xts', key, tweak).update(plain.subarray(at, at + SECTOR_BYTES)));
  }
  return concatBytes(...sectors);
}

function text(value: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(utf8(value));
  return bytes;
}
