// Copies of what is on machines' cables, for a system that looks for intrusions on this host.
import { z } from 'zod';
import { networkIdSchema } from './cards.ts';
import { machineIdSchema } from './objects.ts';

/** As many as a network has machines. */
const MACHINES = 4_096;

const stateSchema = z.object({
  /** Where whoever looks listens: the namespace as a file (nsenter --net=FILE), and an interface in it. */
  namespace: z.string(),
  interface: z.string(),
  /** Whether root allows mirrors on this host. */
  allowed: z.boolean(),
});

/** The requests of the warden. */
export const mirrorRequestSchemas = [
  /** Whose cables are mirrored from now on. Throws unauthorized where root has not allowed mirrors on this host; ending one is allowed. */
  z.object({
    op: z.literal('set-mirror'),
    network: networkIdSchema,
    machines: z.union([z.literal('all'), z.array(machineIdSchema).max(MACHINES)]),
  }),
  z.object({ op: z.literal('show-mirror'), network: networkIdSchema }),
] as const;

const answerSchema = stateSchema.extend({
  /** What was asked for, and who of them is connected and mirrored now. */
  machines: z.union([z.literal('all'), z.array(machineIdSchema)]),
  mirrored: z.array(machineIdSchema),
});
export type MirrorAnswer = z.infer<typeof answerSchema>;
export const mirrorResponseSchemas = { 'set-mirror': answerSchema, 'show-mirror': answerSchema } as const;

export const setMirrorSchema = z.strictObject({
  /** Names; with none, nothing is mirrored any more. */
  machines: z.union([z.literal('all'), z.array(z.string().min(1).max(128)).max(MACHINES)]),
});

/** As it is shown: with names. */
export const mirrorSchema = stateSchema.extend({
  network: z.string(),
  machines: z.union([z.literal('all'), z.array(z.string())]),
  mirrored: z.array(z.string()),
});
export type ShownMirror = z.infer<typeof mirrorSchema>;
