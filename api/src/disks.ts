// Disks that were imported from images: the object, and the messages by which one comes to be. Its contents are encrypted by
// the VMM (LUKS, as QEMU writes it); the key is the broker's, and leaves it only for the host that the disk was made on, or has come to with its machine.
import { z } from 'zod';
import { BOOT_ID, MACHINE_NAME } from './ids.ts';
import { diskIdSchema, errorBodySchema, machineIdSchema, operationSchema } from './objects.ts';

/** Sectors of LUKS1; a disk that ends within one has no last sector. */
export const DISK_SECTOR_BYTES = 512;
export const DISK_LIMITS = {
  /** The upper end is that of the largest disks of the large clouds: 64 TiB. */
  sizeBytes: { min: DISK_SECTOR_BYTES, max: 64 * 2 ** 40 },
} as const;

export const diskKeyUseSchema = z.enum(['import', 'start', 'export']);

/** Signed by the key with which a host stands for its reference values, over `keyRequestMessage` of control/keys. */
export const diskKeyRequestSchema = z.object({
  disk: diskIdSchema,
  /** `import`: the disk is being written, or read back. `start`: `machine` starts with it. `export`: it leaves with `machine`. */
  use: diskKeyUseSchema,
  machine: machineIdSchema.optional(),
  boot: z.string().regex(BOOT_ID).optional(),
  /** X25519, made for this request alone. */
  publicKey: z.base64().length(44),
  /** P-256, X and Y: who asks. */
  host: z.base64().length(88),
  signature: z.base64().length(88),
});
export type DiskKeyRequest = z.infer<typeof diskKeyRequestSchema>;

/** What was read of it, by the words of whoever imported it. */
export const diskSourceSchema = z.object({
  /** As the command line has seen it, e.g. qcow2. */
  format: z.string().max(32),
  /** Its file, without directories. */
  name: z.string().max(255),
});

export const diskSizeSchema: z.ZodNumber = z
  .int()
  .min(DISK_LIMITS.sizeBytes.min)
  .max(DISK_LIMITS.sizeBytes.max)
  .multipleOf(DISK_SECTOR_BYTES);

export const diskSchema = z.object({
  id: diskIdSchema,
  tenant: z.string(),
  name: z.string().regex(MACHINE_NAME),
  version: z.int(),
  createdAt: z.iso.datetime(),
  spec: z.object({ sizeBytes: diskSizeSchema, source: diskSourceSchema }),
  status: z.object({
    /** `incomplete`: an import was broken off; the same import goes on where it was. */
    phase: z.enum(['importing', 'incomplete', 'ready']),
    /** Of a ready disk: SHA-256 over the SHA-256 of each of its chunks, as they were read back. */
    digest: z.string().optional(),
    importedAt: z.iso.datetime().optional(),
  }),
});
export type Disk = z.infer<typeof diskSchema>;

/** As it is shown: with the name of the machine that has it. */
const shownDiskSchema = diskSchema.extend({ machine: z.string().optional() });
export type ShownDisk = z.infer<typeof shownDiskSchema>;
export const diskListSchema = z.object({ disks: z.array(shownDiskSchema) });
export type DiskList = z.infer<typeof diskListSchema>;

export const importDiskSchema = z.strictObject({
  name: z.string(),
  sizeBytes: diskSizeSchema,
  source: diskSourceSchema,
});
export type ImportDisk = z.infer<typeof importDiskSchema>;

export const importedDiskSchema = z.object({ disk: diskSchema, operation: operationSchema });
export type ImportedDisk = z.infer<typeof importedDiskSchema>;

/** The warden's first word on an import, which the daemon hands on: what lies on the disk already, and stays if it is the same. */
export const importBeginSchema = z.object({
  chunkBytes: z.int().min(DISK_SECTOR_BYTES),
  /** Whole chunks from the beginning on. */
  have: z.int().min(0),
  /** SHA-256 over their SHA-256, hexadecimal. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ImportBegin = z.infer<typeof importBeginSchema>;

/** What the warden says, a line each, while it takes the contents (disk-stream.ts). The last is `done` or `error`. */
export const importMessageSchema = z.union([
  z.object({ progress: z.object({ step: z.string(), fraction: z.number().min(0).max(1) }) }),
  z.object({ done: z.object({ digest: z.string().regex(/^[0-9a-f]{64}$/) }) }),
  /** `destroyed`: what lies there is not what was sent, and is gone. */
  z.object({ error: errorBodySchema, destroyed: z.boolean() }),
]);
