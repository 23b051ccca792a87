// What the kernel has counted in a network: by machine, by reason, by rule.
import { z } from 'zod';
import { networkIdSchema } from './cards.ts';
import { machineIdSchema } from './objects.ts';

const countSchema = z.object({ packets: z.int().min(0), bytes: z.int().min(0) });

/** Why packets were dropped, as `net watch` has it, and how many. */
const refusedSchema = z.array(countSchema.extend({ reason: z.string().max(32) }));

const machineCountersSchema = z.object({
  /** What was on its cable since that was made: at its last start. */
  sent: countSchema,
  received: countSchema,
  /** Packets to it that found no room in its share. */
  late: z.int().min(0),
  /** Of what it has sent, since the rules were raised. */
  refused: refusedSchema,
});

const sharedCountersSchema = z.object({
  /** All that was dropped in the network, also what no machine of it has sent. */
  refused: refusedSchema,
  /** How many connections each rule has let begin, or has denied; several rules where times choose among them. None on a segment. */
  rules: z.array(
    z.object({
      rules: z.array(z.object({ name: z.string(), action: z.enum(['allow', 'deny']) })),
      connections: z.int().min(0),
    }),
  ),
  /** How often somebody else has changed its rules on this host, and they were put back, since the warden began to look after them. */
  putBack: z.int().min(0),
  /** By the way out of this host, since its cable was made. Absent where the network does not get out now. */
  out: z.object({ sent: countSchema, received: countSchema, refused: refusedSchema }).optional(),
  /** That connection tracking knows now, and how many it has room for. Absent where the kernel does not say. */
  connections: z.object({ known: z.int().min(0), limit: z.int().min(0) }).optional(),
});

/** The request of the warden. */
export const counterRequestSchema = z.object({ op: z.literal('count-network'), network: networkIdSchema });

export const counterResponseSchema = sharedCountersSchema.extend({
  machines: z.array(machineCountersSchema.extend({ machine: machineIdSchema })),
});
export type CountersAnswer = z.infer<typeof counterResponseSchema>;

/** As it is shown: with names. */
export const networkCountersSchema = sharedCountersSchema.extend({
  network: z.string(),
  machines: z.array(machineCountersSchema.extend({ name: z.string() })),
});
export type NetworkCounters = z.infer<typeof networkCountersSchema>;
