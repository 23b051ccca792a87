// What a machine has of a network: which one it is in, and the labels that rules speak of.
import { z } from 'zod';

export const networkIdSchema = z.templateLiteral(['net_', z.string().regex(/^[a-z2-7]{20}$/)]);

/** Of one machine, and of one end of a rule. As @ringwall/netpolicy has it. */
const LABELS_PER_MACHINE = 16;

/** `role=web`: one value for each key. Names that nothing can read as syntax. */
export const labelsSchema = z
  .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,47}$/), z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/))
  .refine((labels) => Object.keys(labels).length <= LABELS_PER_MACHINE, `more than ${LABELS_PER_MACHINE} labels`);
