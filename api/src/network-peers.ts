// Other hosts of a network: what one host says of itself to another (a signed file, which @ringwall/netpolicy reads), and what is
// known of each.
import { z } from 'zod';
import { labelsSchema, networkIdSchema } from './cards.ts';

/** As netpolicy has it. */
const MAX_PEER_FILE_CHARACTERS = 1_000_000;

/** As netpolicy has names. */
const hostNameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,47}$/);
const portSchema = z.int().min(1_024).max(65_535);

export const exportPeerSchema = z.strictObject({
  /** What this host is called there. */
  host: hostNameSchema,
  /** The host that it is for. */
  to: hostNameSchema,
  /** Where this host is reached: its address on the network between the hosts. The one of last time where absent. */
  address: z.string().max(39).optional(),
  /** Other keys: what there is stays in use until both hosts have the next, and for a while after. */
  newKey: z.boolean().optional(),
});
export type ExportPeer = z.infer<typeof exportPeerSchema>;

export const exportedPeerSchema = z.object({
  /** As it is to be handed on. */
  file: z.string(),
  /** UDP, on this host: what its firewall has to let in. Two while keys are being changed. */
  listenPorts: z.array(portSchema),
  machines: z.int(),
});
export type ExportedPeer = z.infer<typeof exportedPeerSchema>;

export const importPeerSchema = z.strictObject({ file: z.string().max(MAX_PEER_FILE_CHARACTERS) });

export const peerSchema = z.object({
  host: z.string(),
  /** What this host is called there. */
  self: z.string(),
  listenPort: portSchema,
  keys: z.enum(['settled', 'changing']),
  /** `waiting`: nothing has come from it yet, or not the answer to what this host has offered. `silent`: it does not answer, or not any more. `down`: it does not stand here. */
  state: z.enum(['waiting', 'up', 'silent', 'down']),
  endpoint: z.string().optional(),
  /** SHA-256 of the key that its words are signed with, in hexadecimal. */
  signedBy: z.string().optional(),
  saidAt: z.iso.datetime().optional(),
  /** As its last word has them. */
  machines: z.array(z.object({ name: z.string(), labels: labelsSchema, addresses: z.array(z.string()) })),
  /** Whether its rules were this host's, when it spoke last. */
  rules: z.enum(['same', 'other']).optional(),
  lastHandshakeAt: z.iso.datetime().optional(),
  receivedBytes: z.number(),
  sentBytes: z.number(),
});
export type NetworkPeer = z.infer<typeof peerSchema>;
export const peerListSchema = z.object({ peers: z.array(peerSchema) });

/** The requests of the warden that are about peers; `networks.ts` has them with those about networks. */
export const peerRequestSchemas = [
  /** What this host says of itself to another; makes their key where there is none. */
  z.object({ op: z.literal('export-peer'), network: networkIdSchema, ...exportPeerSchema.shape }),
  /** Takes what another host says of itself: its machines are members, and reached by a tunnel. */
  z.object({ op: z.literal('import-peer'), network: networkIdSchema, ...importPeerSchema.shape }),
  z.object({ op: z.literal('list-peers'), network: networkIdSchema }),
  /** Forgets a host, with its machines, its tunnel and the key for it. Idempotent. */
  z.object({ op: z.literal('remove-peer'), network: networkIdSchema, host: hostNameSchema }),
] as const;

export const peerResponseSchemas = {
  'export-peer': exportedPeerSchema,
  'import-peer': peerSchema,
  'list-peers': peerListSchema,
  'remove-peer': z.object({}),
} as const;
