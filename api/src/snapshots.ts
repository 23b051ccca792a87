// Snapshots of machines: the object, what the API takes and answers, and what a host signs when it asks for the key of one. A
// snapshot is named by its machine and the number that the broker gave it, as in web@3; no number is given twice.
import { z } from 'zod';
import { MACHINE_NAME } from './ids.ts';
import { machineIdSchema } from './objects.ts';

export const snapshotIdSchema = z.templateLiteral(['snp_', z.string().regex(/^[a-z2-7]{20}$/)]);

/**
 * What a host wants the key of one for. `base`: what another continues, opened below it and nowhere else. `clone`: its disk, for another
 * machine. `template`: to hold its memory, so that other machines go on from it; `live`: the word that one of them may.
 */
export const snapshotUseSchema = z.enum(['take', 'restore', 'clone', 'import', 'base', 'template', 'live']);

/** Signed by the key with which a host stands for its reference values, over `keyRequestMessage` of control/keys. */
export const snapshotKeyRequestSchema = z.object({
  snapshot: snapshotIdSchema,
  machine: machineIdSchema,
  use: snapshotUseSchema,
  /** The machine that is to have a copy of its disk (`clone`, `live`). */
  clone: machineIdSchema.optional(),
  /** X25519, made for this request alone. */
  publicKey: z.base64().length(44),
  /** P-256, X and Y: who asks. */
  host: z.base64().length(88),
  signature: z.base64().length(88),
});
export type SnapshotKeyRequest = z.infer<typeof snapshotKeyRequestSchema>;

/** Of the tree over a sealed object: names it among all others. */
export const sealedRootSchema: z.ZodString = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * A snapshot continues the one before it, which continues another; the first of such a chain is whole. To put a machine back, all of
 * it is read, and each is kept for as long as one that continues it: so a whole one is taken once there are so many.
 */
export const MAX_SNAPSHOT_CHAIN = 16;

/** What the warden says of one that it has taken. */
export const takenSnapshotSchema = z.object({
  root: sealedRootSchema,
  /** As it lies there, encrypted. */
  bytes: z.int().min(0),
  /** How long the guest stood still. */
  pauseMs: z.number().min(0),
  tookMs: z.number().min(0),
  /** The one that it continues: what has not changed since then lies there. Absent where it is whole. */
  parent: snapshotIdSchema.optional(),
});

export const snapshotSchema = z.object({
  id: snapshotIdSchema,
  machine: machineIdSchema,
  /** Grows with each of this machine. */
  sequence: z.int().min(1),
  createdAt: z.iso.datetime(),
  ...takenSnapshotSchema.shape,
  /** By the machine's plan, which also removes it in time; else somebody asked for it. */
  scheduled: z.boolean().optional(),
});
export type Snapshot = z.infer<typeof snapshotSchema>;

/** As it is shown: with the name of its machine. */
const shownSnapshotSchema = snapshotSchema.extend({ machineName: z.string().regex(MACHINE_NAME) });
export type ShownSnapshot = z.infer<typeof shownSnapshotSchema>;
export const snapshotListSchema = z.object({ snapshots: z.array(shownSnapshotSchema) });

export const takeSnapshotSchema = z.strictObject({
  /** All of it, also where it could continue the one before. */
  full: z.boolean().optional(),
});
export type TakeSnapshot = z.infer<typeof takeSnapshotSchema>;

export const restoreMachineSchema = z.strictObject({
  /** The number; else the newest. */
  sequence: z.int().min(1).optional(),
  /** Also a state that is older than the newest, or that the machine was put back to before. */
  rewind: z.boolean().optional(),
});

export type RestoreMachine = z.infer<typeof restoreMachineSchema>;

export const cloneMachineSchema = z.strictObject({
  /** What the clone is called; else after the machine that it is made from. */
  name: z.string().optional(),
  /** The number of the snapshot; else the newest. */
  sequence: z.int().min(1).optional(),
  /** As of a machine that is made. */
  network: z.string().max(128).optional(),
  labels: z.record(z.string().max(64), z.string().max(64)).optional(),
  start: z.boolean().optional(),
  /** Goes on from the memory of a snapshot that is held as a template; without a number, of the newest that is. */
  live: z.boolean().optional(),
});
export type CloneMachine = z.infer<typeof cloneMachineSchema>;

/** What a look at the sealed object has found; no key is needed for it. */
export const snapshotReportSchema = z.object({
  /** It is the very object that was sealed, to the last byte. */
  whole: z.boolean(),
  records: z.int(),
  damaged: z.int(),
  /** The first places, in bytes of the object. */
  at: z.array(z.int()),
  /** Why it is not whole, where no record of it is damaged. */
  reason: z.string().optional(),
});
export type SnapshotReport = z.infer<typeof snapshotReportSchema>;
