// The requests that the broker takes on its Unix socket, one JSON object a line each way, framed as the warden's are.
// `open-session` turns its connection into the guest's attestation stream once the result line has been sent: from
// there on, every byte comes from the guest, through a host that only relays (docs/protocols/attestation.md).
import { z } from 'zod';
import { BOOT_ID } from './ids.ts';
import { machineIdSchema } from './objects.ts';

export const BROKER_LINE_LIMIT_BYTES: number = 1024 * 1024;

export const brokerRequestSchema = z.discriminatedUnion('op', [
  z.object({ op: z.literal('status') }),
  /** Binds a machine to its EK for good, and makes its disk key. Idempotent for the same EK, refused for another. */
  z.object({
    op: z.literal('register-machine'),
    machine: machineIdSchema,
    name: z.string(),
    ekCertificate: z.base64(),
    vtpmCa: z.array(z.base64()),
  }),
  /** Says what a boot of this machine must measure: ReferenceValues of lib/evidence, as JSON. */
  z.object({
    op: z.literal('expect-boot'),
    machine: machineIdSchema,
    boot: z.string().regex(BOOT_ID),
    reference: z.unknown(),
  }),
  z.object({ op: z.literal('open-session'), machine: machineIdSchema, boot: z.string().regex(BOOT_ID) }),
  /** The outcome of the last attestation of this boot. */
  z.object({ op: z.literal('read-verdict'), machine: machineIdSchema, boot: z.string().regex(BOOT_ID) }),
  /** The proof bundle of the last accepted (or else refused) boot. */
  z.object({ op: z.literal('read-proof'), machine: machineIdSchema }),
  /** Destroys the machine's key. Idempotent. */
  z.object({ op: z.literal('forget-machine'), machine: machineIdSchema }),
]);
export type BrokerRequest = z.infer<typeof brokerRequestSchema>;
export type BrokerOp = BrokerRequest['op'];

export const brokerResponseSchemas = {
  /** `key`: the broker's P-256 public key, X and Y as 128 hex digits. */
  status: z.object({ pid: z.int(), key: z.string(), machines: z.int() }),
  'register-machine': z.object({}),
  'expect-boot': z.object({}),
  'open-session': z.object({}),
  'read-verdict': z.object({
    /** `pending`: nothing was judged yet. `accepted`: key released. `unlocked`: the guest says that it used the key. */
    state: z.enum(['pending', 'accepted', 'unlocked', 'refused', 'failed']),
    reasons: z.array(z.string()),
    proven: z.array(z.string()),
    at: z.iso.datetime().optional(),
  }),
  'read-proof': z.object({ proof: z.unknown() }),
  'forget-machine': z.object({}),
} as const satisfies Record<BrokerOp, z.ZodType>;

export type BrokerResponse<Op extends BrokerOp> = z.infer<(typeof brokerResponseSchemas)[Op]>;
