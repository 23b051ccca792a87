// Templates: the memory of a snapshot, opened once and held, so that machines go on from it in a moment and share its pages until they
// write to them. The warden has them, in memory alone: they end with it.
import { z } from 'zod';
import { MACHINE_NAME } from './ids.ts';
import { machineIdSchema } from './objects.ts';
import { snapshotIdSchema } from './snapshots.ts';

const heldSchema = z.object({
  heldAt: z.iso.datetime(),
  /** What its guest's memory is, from its first byte to its last. */
  bytes: z.int().min(0),
  /** What of it takes memory of the host: pages of zeros take none. */
  heldBytes: z.int().min(0),
});

/** As the warden has it; `machines` go on from it now. */
export const heldTemplateSchema = heldSchema.extend({
  snapshot: snapshotIdSchema,
  machine: machineIdSchema,
  machines: z.array(machineIdSchema),
});
export type HeldTemplate = z.infer<typeof heldTemplateSchema>;

/** As it is shown: with names. */
const shownTemplateSchema = heldSchema.extend({
  machineName: z.string().regex(MACHINE_NAME),
  /** The number of the snapshot. */
  sequence: z.int().min(1),
  machines: z.array(z.string().regex(MACHINE_NAME)),
});
export type ShownTemplate = z.infer<typeof shownTemplateSchema>;
export const templateListSchema = z.object({ templates: z.array(shownTemplateSchema) });
