// Tenant networks: the objects, and what ringwalld tells the warden of them. Who may reach whom is said by one network of a policy,
// which @ringwall/netpolicy judges (its policy.schema.json); here it is a document that is handed on.
import { z } from 'zod';
import { counterRequestSchema, counterResponseSchema } from './counters.ts';
import { BOOT_ID } from './ids.ts';
import { mirrorRequestSchemas, mirrorResponseSchemas } from './mirrors.ts';
import { peerRequestSchemas, peerResponseSchemas } from './network-peers.ts';
import { machineIdSchema, machineStatusSchema } from './objects.ts';
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

export const networkSchema = z.object({
  id: networkIdSchema,
  tenant: z.string(),
  name: z.string(),
  version: z.int(),
  createdAt: z.iso.datetime(),
  spec: z.object({ definition: networkDefinitionSchema }),
  status: z.object({}),
});
export type Network = z.infer<typeof networkSchema>;

/** How this host lets networks out. */
export const hostWayOutSchema = z.object({
  /** `broken`: it is switched on, and does not stand; `trouble` says why. */
  state: z.enum(['off', 'on', 'broken']),
  /** The file in which root says how. */
  setting: z.string(),
  trouble: z.string().optional(),
  /** `given`: that interface; `shared`: one that is made on it. */
  uplink: z.object({ kind: z.enum(['given', 'shared']), interface: z.string() }).optional(),
  /** Under which networks are seen outside. */
  addresses: z.array(z.string()).optional(),
  /** Who is asked for names of the world. */
  resolvers: z.array(z.string()).optional(),
});
export type HostWayOut = z.infer<typeof hostWayOutSchema>;

/** As it is shown. */
export const shownNetworkSchema = networkSchema.extend({
  status: z.object({
    /** `pending`: the host does not do yet what is wanted; `trouble` says why, where that is known. */
    state: z.enum(['in-force', 'pending']),
    trouble: z.string().optional(),
    machines: z.int(),
    /** Of one whose rules may lead out, where the host says. */
    wayOut: hostWayOutSchema.optional(),
  }),
});
export type ShownNetwork = z.infer<typeof shownNetworkSchema>;
export const networkListSchema = z.object({ networks: z.array(shownNetworkSchema) });

/** A machine's place in a network. `admitted`: its card leads somewhere now. */
export const placeSchema = z.object({
  machine: machineIdSchema,
  name: z.string(),
  labels: labelsSchema,
  addresses: addressesSchema,
  mac: macSchema,
  phase: machineStatusSchema.shape.phase,
  trust: machineStatusSchema.shape.trust,
  admitted: z.boolean(),
});
export type Place = z.infer<typeof placeSchema>;
export const networkDetailSchema = z.object({ network: shownNetworkSchema, machines: z.array(placeSchema) });
export type NetworkDetail = z.infer<typeof networkDetailSchema>;

export const createNetworkSchema = z.strictObject({
  name: z.string(),
  /** Ranges as policies have them; ones that nobody else uses where absent. */
  addresses: z.array(z.string().max(80)).max(16).optional(),
  internet: z.enum(['none', 'nat']).optional(),
  /** `bridged`, `openvswitch`: all machines on one segment, for those who need one. For good. */
  mode: z.enum(['routed', 'bridged', 'openvswitch']).optional(),
});
export type CreateNetwork = z.infer<typeof createNetworkSchema>;

/** One rule as policy.schema.json has it. */
export const addRuleSchema = z.strictObject({ rule: z.record(z.string(), z.unknown()) });

export const labelMachineSchema = z.strictObject({
  set: z.record(z.string().max(64), z.string().max(64)).optional(),
  remove: z.array(z.string().max(64)).max(64).optional(),
});
export type LabelMachine = z.infer<typeof labelMachineSchema>;

/** What a change opens or closes, between kinds of machines; `rule` decides about it afterwards. */
const reachChangeSchema = z.object({
  kind: z.enum(['opens', 'closes']),
  from: z.string(),
  to: z.string(),
  services: z.array(z.string()),
  rule: z.string().optional(),
});
export type ReachChange = z.infer<typeof reachChangeSchema>;

/** Something about a rule that its author should know. `idle`: it can never decide anything. */
const ruleFindingSchema = z.object({ rule: z.string(), message: z.string(), idle: z.boolean() });
export type RuleFinding = z.infer<typeof ruleFindingSchema>;

const consequencesSchema = z.object({
  changes: z.array(reachChangeSchema),
  /** Changes that are not in the list. */
  more: z.int(),
  findings: z.array(ruleFindingSchema),
});
export type Consequences = z.infer<typeof consequencesSchema>;

export const changedNetworkSchema = consequencesSchema.extend({ network: shownNetworkSchema });
export type ChangedNetwork = z.infer<typeof changedNetworkSchema>;

/** A whole policy, as a file has it. */
export const policySchema = z.record(z.string(), z.unknown());
export const planPolicySchema = z.strictObject({ policy: policySchema });
export const applyPolicySchema = z.strictObject({
  policy: policySchema,
  /** Also with rules that can never decide anything. */
  anyway: z.boolean().optional(),
});

export const policyPlanSchema = z.object({
  networks: z.array(
    consequencesSchema.extend({
      name: z.string(),
      does: z.enum(['make', 'change', 'keep', 'remove']),
      /** Other hosts that have it, and decide by rules of their own. */
      hosts: z.array(z.string()),
    }),
  ),
  /** Why it cannot be applied as it is. */
  troubles: z.array(z.string()),
});
export type PolicyPlan = z.infer<typeof policyPlanSchema>;

const endSchema = z.object({
  text: z.string(),
  address: z.string().optional(),
  machine: z.string().optional(),
  /** Where it is not this one. */
  host: z.string().optional(),
  labels: labelsSchema.optional(),
});

export const reachQuerySchema = z.strictObject({
  /** A machine or an address. */
  from: z.string().min(1).max(128),
  to: z.string().min(1).max(128),
  /** One service: `tcp/5432`, `ping`. */
  service: z.string().min(1).max(64),
  network: z.string().max(128).optional(),
});
export type ReachQuery = z.infer<typeof reachQuerySchema>;

export const reachSchema = z.object({
  /** Absent where the two ends have no network in common. */
  network: z.string().optional(),
  from: endSchema,
  to: endSchema,
  service: z.string(),
  /** Whether it happens now: the rules allow it, and both machines are trusted and run. */
  open: z.boolean(),
  /** What the rules say, and why: `rule`, `no-rule`, `no-way-out`, … */
  allowed: z.boolean(),
  reason: z.string(),
  rule: z.object({ name: z.string(), action: z.enum(['allow', 'deny']), why: z.string().optional() }).optional(),
  /** Of what is `protected`: what it is. */
  protectedAs: z.string().optional(),
  /** Sentences beside that: what else keeps it shut, or what would happen anyway. */
  notes: z.array(z.string()),
});
export type Reach = z.infer<typeof reachSchema>;

/** Who can reach whom: kinds of machines, and what is open between them. `from` and `to` are places in `nodes`. */
export const networkMapSchema = z.object({
  network: z.string(),
  /** Machines of other hosts as `db@beta`. */
  nodes: z.array(z.object({ name: z.string(), machines: z.array(z.string()), outside: z.boolean() })),
  edges: z.array(z.object({ from: z.int(), to: z.int(), services: z.array(z.string()), rules: z.array(z.string()) })),
});
export type ShownMap = z.infer<typeof networkMapSchema>;

/** A range as policies have it, and what people call it. */
export const protectedRangeSchema = z.object({ range: z.string(), what: z.string() });

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
  /** Reads anew how networks get out, and does as it says. */
  z.object({ op: z.literal('look-at-way-out') }),
  /** Lets a machine of an applied network in: its rules, its cable, its card. For this boot alone. Idempotent. */
  z.object({
    op: z.literal('admit-machine'),
    network: networkIdSchema,
    machine: machineIdSchema,
    boot: z.string().regex(BOOT_ID),
  }),
  /** Takes a machine off its network, with the connections that it has. Idempotent, and also with a guest that hangs. */
  z.object({ op: z.literal('dismiss-machine'), network: networkIdSchema, machine: machineIdSchema }),
  /** What was counted in a network that stands. */
  counterRequestSchema,
  ...mirrorRequestSchemas,
  ...peerRequestSchemas,
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
    /** What no machine reaches, whatever a rule says: where other hosts are, and this one. */
    protected: z.array(protectedRangeSchema),
    wayOut: hostWayOutSchema,
  }),
  'look-at-way-out': hostWayOutSchema,
  'admit-machine': z.object({}),
  'dismiss-machine': z.object({}),
  'count-network': counterResponseSchema,
  ...mirrorResponseSchemas,
  ...peerResponseSchemas,
} as const;
