// Small LUKS disks written by hand, one key slot of a single stripe: for headers that lie, which no tool writes.
import { createCipheriv, createHash, pbkdf2Sync } from 'node:crypto';

export const PASSPHRASE: Buffer = Buffer.from('correct horse');
export const VOLUME_KEY: Buffer = Buffer.from(Array.from({ length: 64 }, (_, index) => index * 3 + 1));
export const LUKS2_DATA_AT = 65_536;

const SALT = Buffer.alloc(32, 7);
const DIGEST_BYTES = 32;
const COPY_AT = 16_384;
const AREA_AT = 32_768;
const BINARY_BYTES = 4096;
const SECTOR_BYTES = 512;

/** AES-256-XTS sector by sector, by the cipher of Node itself. */
export function encryptSectors(key: Buffer, plain: Buffer, sectorBytes: number, firstSector = 0): Buffer {
  const sectors: Buffer[] = [];
  for (let at = 0; at < plain.length; at += sectorBytes) {
    const iv = Buffer.alloc(16);
    iv.writeBigUInt64LE(BigInt(firstSector + at / SECTOR_BYTES));
    sectors.push(createCipheriv('aes-256-xts', key, iv).update(plain.subarray(at, at + sectorBytes)));
  }
  return Buffer.concat(sectors);
}

const derived = (secret: Buffer, length: number): Buffer => pbkdf2Sync(secret, SALT, 1, length, 'sha256');

/** The metadata of a LUKS2 disk as they should be; a test changes what it likes. */
export function luks2Metadata(): Record<string, Record<string, unknown>> {
  return {
    keyslots: {
      0: {
        type: 'luks2',
        key_size: 64,
        area: { type: 'raw', offset: String(AREA_AT), size: '4096', encryption: 'aes-xts-plain64', key_size: 64 },
        kdf: { type: 'pbkdf2', hash: 'sha256', iterations: 1, salt: SALT.toString('base64') },
        af: { type: 'luks1', stripes: 1, hash: 'sha256' },
      },
    },
    tokens: {},
    segments: {
      0: {
        type: 'crypt',
        offset: String(LUKS2_DATA_AT),
        size: 'dynamic',
        iv_tweak: '0',
        encryption: 'aes-xts-plain64',
        sector_size: 512,
      },
    },
    digests: {
      0: {
        type: 'pbkdf2',
        keyslots: ['0'],
        segments: ['0'],
        hash: 'sha256',
        iterations: 1,
        salt: SALT.toString('base64'),
        digest: derived(VOLUME_KEY, DIGEST_BYTES).toString('base64'),
      },
    },
    config: { json_size: '12288', keyslots_size: '16384' },
  };
}

export interface Luks2Options {
  readonly json?: string;
  readonly sequence?: number;
  readonly copySequence?: number;
  readonly copyJson?: string;
}

/** A LUKS2 disk with `json` for metadata and `plain` inside. */
export function luks2Disk(plain: Buffer, options: Luks2Options = {}): Buffer {
  const json = options.json ?? JSON.stringify(luks2Metadata());
  const disk = Buffer.alloc(LUKS2_DATA_AT + plain.length);
  const { sequence = 3, copySequence = sequence } = options;
  putHeader(disk, 0, 'LUKS', json, sequence);
  putHeader(disk, COPY_AT, 'SKUL', options.copyJson ?? json, copySequence);
  const material = Buffer.concat([VOLUME_KEY, Buffer.alloc(SECTOR_BYTES - VOLUME_KEY.length)]);
  encryptSectors(derived(PASSPHRASE, 64), material, SECTOR_BYTES).copy(disk, AREA_AT);
  encryptSectors(VOLUME_KEY, plain, SECTOR_BYTES).copy(disk, LUKS2_DATA_AT);
  return disk;
}

function putHeader(disk: Buffer, at: number, magic: string, json: string, sequence: number): void {
  disk.write(magic, at, 'latin1');
  disk.set([0xba, 0xbe], at + 4);
  disk.writeUInt16BE(2, at + 6);
  disk.writeBigUInt64BE(BigInt(COPY_AT), at + 8);
  disk.writeBigUInt64BE(BigInt(sequence), at + 16);
  disk.write('a label', at + 24, 'latin1');
  disk.write('sha256', at + 72, 'latin1');
  disk.write('12345678-9abc-4ef0-8234-56789abcdef0', at + 168, 'latin1');
  disk.writeBigUInt64BE(BigInt(at), at + 256);
  disk.write(json, at + BINARY_BYTES, 'utf8');
  createHash('sha256')
    .update(disk.subarray(at, at + COPY_AT))
    .digest()
    .copy(disk, at + 448);
}

/** A LUKS1 disk with `plain` inside, behind 4 KiB. */
export function luks1Disk(plain: Buffer): Buffer {
  const disk = Buffer.alloc(4096 + plain.length);
  disk.write('LUKS', 0, 'latin1');
  disk.set([0xba, 0xbe, 0, 1], 4);
  disk.write('aes', 8, 'latin1');
  disk.write('xts-plain64', 40, 'latin1');
  disk.write('sha256', 72, 'latin1');
  disk.writeUInt32BE(8, 104);
  disk.writeUInt32BE(64, 108);
  derived(VOLUME_KEY, 20).copy(disk, 112);
  SALT.copy(disk, 132);
  disk.writeUInt32BE(1, 164);
  disk.write('12345678-9abc-4ef0-8234-56789abcdef0', 168, 'latin1');
  for (let slot = 0; slot < 8; slot += 1) disk.writeUInt32BE(slot === 1 ? 0x00ac71f3 : 0xdead, 208 + slot * 48);
  disk.writeUInt32BE(1, 208 + 48 + 4);
  SALT.copy(disk, 208 + 48 + 8);
  disk.writeUInt32BE(2, 208 + 48 + 40);
  disk.writeUInt32BE(1, 208 + 48 + 44);
  const material = Buffer.concat([VOLUME_KEY, Buffer.alloc(SECTOR_BYTES - VOLUME_KEY.length)]);
  encryptSectors(derived(PASSPHRASE, 64), material, SECTOR_BYTES).copy(disk, 2 * SECTOR_BYTES);
  encryptSectors(VOLUME_KEY, plain, SECTOR_BYTES).copy(disk, 4096);
  return disk;
}
