// Snapshots on their way from one host to another, or to a tenant: what the API takes and answers. The file is a line of magic, the
// ticket (ringwall-export/1 of lib/evidence), and the sealed object with an envelope for its recipient alone.
import { z } from 'zod';
import { IMAGE_NAME } from './ids.ts';
import { errorBodySchema, MACHINE_LIMITS, machineSchema } from './objects.ts';
import { MAX_SNAPSHOT_CHAIN, snapshotIdSchema, snapshotSchema } from './snapshots.ts';
import { watchModeSchema } from './watch.ts';

/** As lib/evidence bounds tickets. */
const MAX_TICKET_CHARACTERS: number = 128 * 1024;
/** Envelope and manifest of a machine's object are 2 KiB; as base64. */
export const MAX_HEAD_CHARACTERS: number = 192 * 1024;

export const headSchema: z.ZodBase64 = z.base64().max(MAX_HEAD_CHARACTERS);
export const ticketSchema: z.ZodString = z.string().max(MAX_TICKET_CHARACTERS);
/** X25519, in hexadecimal: what follows `ringwall-recipient:`. */
export const recipientSchema: z.ZodString = z.string().regex(/^[0-9a-f]{64}$/);
/** SHA-256 of a broker's key. */
export const fingerprintSchema: z.ZodString = z.string().regex(/^[0-9a-f]{64}$/);

export const transferModeSchema = z.enum(['move', 'backup']);
export type TransferMode = z.infer<typeof transferModeSchema>;

/** What of a machine's specification goes with it. */
export const movedSpecSchema = z.object({
  image: z.string().regex(IMAGE_NAME),
  cpus: z.int().min(1).max(MACHINE_LIMITS.cpus.max),
  memoryMiB: z.int().min(MACHINE_LIMITS.memoryMiB.min).max(MACHINE_LIMITS.memoryMiB.max),
  diskMiB: z.int().min(MACHINE_LIMITS.diskMiB.min).max(MACHINE_LIMITS.diskMiB.max),
  watch: watchModeSchema,
});

export const exportSnapshotSchema = z.strictObject({
  recipient: recipientSchema,
  /** `move`: the machine goes with it, and starts here no more. */
  mode: transferModeSchema,
});
export type ExportSnapshot = z.infer<typeof exportSnapshotSchema>;

/** So many may come with one that continues them. */
export const MAX_BASES: number = MAX_SNAPSHOT_CHAIN - 1;

/**
 * The first two of a file's three parts; the third is the stored object from behind its own head, which a stream brings. `bases`: what
 * it continues, in their order, each to be brought in the same way by its name.
 */
export const exportedSnapshotSchema = z.object({
  ticket: ticketSchema,
  head: headSchema,
  bytes: z.int().min(1),
  bases: z
    .array(z.object({ name: z.string(), head: headSchema, bytes: z.int().min(1) }))
    .max(MAX_BASES)
    .optional(),
});
export type ExportedSnapshot = z.infer<typeof exportedSnapshotSchema>;

export const importSnapshotSchema = z.strictObject({
  ticket: ticketSchema,
  /** Of the object, up to its first record. */
  head: headSchema,
  /** Of those that it continues, in their order. */
  bases: z.array(headSchema).max(MAX_BASES).optional(),
  /** What the machine is called here; else as it was. */
  name: z.string().max(128).optional(),
  /** Though it was here before, or may still live elsewhere. */
  rewind: z.boolean().optional(),
  /** The fingerprint of the broker that it comes from, which a person has compared. */
  accept: fingerprintSchema.optional(),
});
export type ImportSnapshot = z.infer<typeof importSnapshotSchema>;

/**
 * Its object is awaited at /v1/imports/{snapshot}/contents, behind those that it continues: `bytes` of all. `here`: which of those are on
 * this host already, stay as they are, and are not to be sent.
 */
export const begunImportSchema = z.object({
  snapshot: snapshotIdSchema,
  bytes: z.int(),
  here: z.array(snapshotIdSchema).max(MAX_BASES).optional(),
});
export type BegunImport = z.infer<typeof begunImportSchema>;

export const hostRecipientSchema = z.object({ file: z.string() });

/** What the daemon answers when all of it came. */
export const importedSnapshotSchema = z.object({ machine: machineSchema, snapshot: snapshotSchema });
export type ImportedSnapshot = z.infer<typeof importedSnapshotSchema>;

/** How it ended at the warden: the heads, for the broker. */
export const receivedSchema = z.union([
  z.strictObject({ done: z.strictObject({ head: headSchema, bases: z.array(headSchema).max(MAX_BASES).optional() }) }),
  z.strictObject({ error: errorBodySchema }),
]);

/** The protocol that a connection to the bytes of a snapshot is upgraded to, one way or the other. */
export const TRANSFER_PROTOCOL = 'ringwall-snapshot';
