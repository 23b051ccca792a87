// What the warden remembers of an imported disk: its size, the digests of what lies on it for good, and once it was read back
// that it is whole.
import { hash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { diskIdSchema, RingwallError } from '@ringwall/api';
import { diskSizeSchema } from '@ringwall/api/disks';
import { z } from 'zod';
import { isThere, readFileBounded, syncDirectory, writeFileAtomic } from '../files/index.ts';
import { chunksOf, type DiskShape } from './disk-frames.ts';
import type { DiskLayout } from './layout.ts';
import { overwriteHeader } from './overwrite-header.ts';
import { readJson } from './records.ts';

export const DIGEST_BYTES = 32;

const diskSpecSchema = z.strictObject({
  version: z.literal(1),
  disk: diskIdSchema,
  sizeBytes: diskSizeSchema,
  chunkBytes: z.int().min(512),
  /** Of a disk that was read back: SHA-256 over the digests of its chunks. */
  digest: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});
export type DiskSpecRecord = z.infer<typeof diskSpecSchema>;

export async function readDiskSpec(disk: DiskLayout): Promise<DiskSpecRecord | undefined> {
  const record = await readJson(disk.spec, diskSpecSchema);
  if (record === undefined || record.disk === disk.id) return record;
  throw new RingwallError('internal', `${disk.spec} is of another disk`);
}

export async function writeDiskSpec(disk: DiskLayout, record: DiskSpecRecord): Promise<void> {
  await writeFileAtomic(disk.spec, `${JSON.stringify(record, undefined, 2)}\n`);
}

/** Whole digests alone: a crash may have cut the last. */
export async function readDigests(disk: DiskLayout, record: DiskShape): Promise<Uint8Array<ArrayBuffer>> {
  const most = chunksOf(record) * DIGEST_BYTES;
  const bytes = (await readFileBounded(disk.digests, most + DIGEST_BYTES)) ?? new Uint8Array();
  return bytes.slice(0, Math.min(most, bytes.length - (bytes.length % DIGEST_BYTES)));
}

/** Adds to the digests on the disk, from this chunk on; what stood there from it on goes. */
export async function keepDigests(disk: DiskLayout, chunk: number, digests: Uint8Array): Promise<void> {
  await using file = await open(disk.digests, 'a+', 0o600);
  await file.truncate(chunk * DIGEST_BYTES);
  await file.write(digests);
  await file.sync();
}

/** SHA-256 over all of them: what names the contents as a whole. */
export function digestOfDigests(digests: Uint8Array): string {
  return hash('sha256', digests, 'hex');
}

/** spec.json first: what is left without it, the next sweep removes. */
export async function discardDisk(disk: DiskLayout): Promise<void> {
  if (await isThere(disk.spec)) {
    await rename(disk.spec, join(disk.record, 'removing'));
    await syncDirectory(disk.record);
  }
  await overwriteHeader(disk.file);
  await rm(disk.data, { recursive: true, force: true });
  await rm(disk.record, { recursive: true, force: true });
}
