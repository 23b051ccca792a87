// Tenant networks: the objects, and what ringwalld tells the warden of them. Who may reach whom is said by one network of a policy,
// which @ringwall/netpolicy judges (its policy.schema.json); here it is a document that is handed on.
import { z } from 'zod';
import { BOOT_ID } from './ids.ts';
import { machineIdSchema } from './objects.ts';
import { labelsSchema, networkIdSchema } from './cards.ts';

/** A host has room for fewer; all of them and the most rules fit into one line to the warden. */
export const MACHINES_PER_NETWORK = 4_096;

/** One network of a policy: `name`, `addresses`, `internet`, `labels`, `rules`. */
export const networkDefinitionSchema = z.record(z.string(), z.unknown());
export type NetworkDefinition = z.infer<typeof networkDefinitionSchema>;

/** A card's hardware address: of one station, locally administered (IEEE 802, 8.4). */
export const macSchema = z.string().regex(/^02(?::[0-9a-f]{2}){5}$/);

/** One of each family that the network has, in the one form that each has (RFC 5952). */
const addressesSchema = z.array(z.string().max(39)).min(1).max(2);

/** The card with which a machine starts: its cable leads nowhere until the machine is admitted. */
export const cardSchema = z.object({ network: networkIdSchema, mac: macSchema });

/** A machine of a network, as the warden has to know it. */
export const networkMachineSchema = z.object({
  machine: machineIdSchema,
  name: z.string().max(48),
  labels: labelsSchema,
  addresses: addressesSchema,
  mac: macSchema,
  /** The boot that has proven itself, and no other: absent where none has, or where it is trusted no more. */
  admitted: z.string().regex(BOOT_ID).optional(),
});
export type NetworkMachine = z.infer<typeof networkMachineSchema>;

/** The requests of the warden that are about networks; `warden.ts` has them with all others. */
export const networkRequestSchemas = [
  /**
   * The whole that is wanted of one network. Makes it where it is missing, and changes what differs; asked again, it changes
   * nothing. A rule set that is refused leaves the old one in force, and the error names the line.
   */
  z.object({
    op: z.literal('apply-network'),
    network: networkIdSchema,
    definition: networkDefinitionSchema,
    machines: z.array(networkMachineSchema).max(MACHINES_PER_NETWORK),
  }),
  /** Removes a network that no machine has a card in. Idempotent. */
  z.object({ op: z.literal('remove-network'), network: networkIdSchema }),
  /** What stands on this host. */
  z.object({ op: z.literal('list-networks') }),
  /** Lets a machine of an applied network in: its rules, its cable, its card. For this boot alone. Idempotent. */
  z.object({
    op: z.literal('admit-machine'),
    network: networkIdSchema,
    machine: machineIdSchema,
    boot: z.string().regex(BOOT_ID),
  }),
  /** Takes a machine off its network, with the connections that it has. Idempotent, and also with a guest that hangs. */
  z.object({ op: z.literal('dismiss-machine'), network: networkIdSchema, machine: machineIdSchema }),
] as const;

export const networkResponseSchemas = {
  /** What was done; where nothing had to be, `walls` is `kept` and the lists are empty. */
  'apply-network': z.object({
    made: z.boolean(),
    walls: z.enum(['raised', 'changed', 'kept']),
    admitted: z.array(machineIdSchema),
    dismissed: z.array(machineIdSchema),
  }),
  'remove-network': z.object({}),
  'list-networks': z.object({
    networks: z.array(
      z.object({
        network: networkIdSchema,
        /** `changed`: not as they should be, and about to be put back. `missing`: there is no namespace. */
        walls: z.enum(['standing', 'changed', 'missing']),
        /** Machines whose cable is connected now. */
        connected: z.array(machineIdSchema),
        /** What could not be done, for the operator. */
        trouble: z.string().optional(),
      }),
    ),
  }),
  'admit-machine': z.object({}),
  'dismiss-machine': z.object({}),
} as const;
