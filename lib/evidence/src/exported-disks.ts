// The imported disks of a machine in the ticket of its export: which they are, and their keys, sealed to the recipient. Their contents are
// in the snapshot, as ciphertext of QEMU's LUKS.
import { toHex } from '@ringwall/bytes';
import type { JsonValue } from './canonical-json.ts';
import { ClosedObject } from './json.ts';

/** As many as a machine may have (DISKS_PER_MACHINE of the API). */
export const MAX_EXPORTED_DISKS = 8;
const X25519_KEY_BYTES = 32;
/** 64 characters, which is what QEMU takes, and the tag of AES-GCM. */
const SEALED_KEY_BYTES = 80;
const MAX_NAME_CHARACTERS = 64;
const MAX_FORMAT_CHARACTERS = 32;
/** Of a file, without directories. */
const MAX_SOURCE_CHARACTERS = 255;
const SECTOR_BYTES = 512;
const MAX_SECTORS: number = 2 ** 37;
const DISK = /^dsk_[a-z2-7]{20}$/;
const DIGEST = /^[0-9a-f]{64}$/;

export interface ExportedDisk {
  readonly id: string;
  readonly name: string;
  /** Of its contents: its file has a header before them. */
  readonly sizeBytes: number;
  /** SHA-256 over the SHA-256 of each chunk, as it was imported. */
  readonly digest: string;
  /** What it was imported from. */
  readonly source: { readonly format: string; readonly name: string };
}

export interface SealedDisk extends ExportedDisk {
  /** Under HPKE to the recipient. */
  readonly key: { readonly enc: Uint8Array; readonly ciphertext: Uint8Array };
}

export function diskJson({ id, name, sizeBytes, digest, source }: ExportedDisk): Record<string, JsonValue> {
  return { id, name, sizeBytes, digest, source: { format: source.format, name: source.name } };
}

export function sealedDiskJson(disk: SealedDisk): Record<string, JsonValue> {
  const { enc, ciphertext } = disk.key;
  return { ...diskJson(disk), key: { enc: toHex(enc), ciphertext: toHex(ciphertext) } };
}

/** Each of them once. */
export function readDisks(object: ClosedObject, refuse: (message: string) => never): readonly SealedDisk[] {
  if (!object.has('disks')) return [];
  const disks = object.array('disks', MAX_EXPORTED_DISKS, (value, path) => readDisk(value, path, refuse));
  const ids = new Set(disks.map(({ id }) => id));
  if (ids.size < disks.length) refuse('export.disks name a disk twice');
  return disks;
}

function readDisk(value: unknown, path: string, refuse: (message: string) => never): SealedDisk {
  const object = new ClosedObject(value, path, refuse);
  const disk = {
    id: object.matching('id', DISK, 'the id of a disk'),
    name: object.string('name', MAX_NAME_CHARACTERS),
    sizeBytes: object.integer('sizeBytes', SECTOR_BYTES, MAX_SECTORS * SECTOR_BYTES),
    digest: object.matching('digest', DIGEST, 'SHA-256 in hexadecimal'),
    source: readSource(object.object('source')),
    key: readKey(object.object('key')),
  };
  object.end();
  return disk;
}

function readSource(object: ClosedObject): ExportedDisk['source'] {
  const source = {
    format: object.string('format', MAX_FORMAT_CHARACTERS),
    name: object.string('name', MAX_SOURCE_CHARACTERS),
  };
  object.end();
  return source;
}

function readKey(object: ClosedObject): SealedDisk['key'] {
  const key = {
    enc: object.hexBytes('enc', X25519_KEY_BYTES),
    ciphertext: object.hexBytes('ciphertext', SEALED_KEY_BYTES),
  };
  object.end();
  return key;
}
