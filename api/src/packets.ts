// Packets of a network as a stream: what is dropped of it, and what is on a machine's cable. pcap, written by whoever sends there: every
// byte of it is an attacker's.
import { z } from 'zod';
import { networkIdSchema } from './cards.ts';
import { machineIdSchema } from './objects.ts';

/** The protocol that a connection is upgraded to. */
export const PACKETS_PROTOCOL = 'ringwall-packets';

/** A capture is looked into at once: who needs more takes several. */
export const CAPTURE_LIMITS = {
  seconds: { max: 3_600, default: 60 },
  bytes: { max: 256 * 1024 * 1024, default: 16 * 1024 * 1024 },
} as const;

const secondsSchema = z.int().min(1).max(CAPTURE_LIMITS.seconds.max);
const bytesSchema = z.int().min(64).max(CAPTURE_LIMITS.bytes.max);
/** As pcap-filter(7) has it. */
const filterSchema = z.string().regex(/^[\x20-\x7e]{1,500}$/);

export const captureQuerySchema = z.strictObject({
  seconds: z.coerce.number().pipe(secondsSchema).default(CAPTURE_LIMITS.seconds.default),
  bytes: z.coerce.number().pipe(bytesSchema).default(CAPTURE_LIMITS.bytes.default),
  filter: filterSchema.optional(),
});
export type CaptureOrder = z.infer<typeof captureQuerySchema>;

/** The line before the packets that are dropped: whose the interfaces are that they name. */
export const watchBeginSchema = z.object({ cables: z.array(z.object({ index: z.int(), machine: z.string() })) });
export type WatchBegin = z.infer<typeof watchBeginSchema>;

/** The requests of the warden; both turn their connection into the stream. */
export const packetRequestSchemas = [
  /** What is dropped in a network from now on, as the kernel logs it. */
  z.object({ op: z.literal('open-refused'), network: networkIdSchema }),
  /** What is on the cable of a machine. Throws unauthorized where root has not allowed captures on this host. */
  z.object({
    op: z.literal('open-capture'),
    network: networkIdSchema,
    machine: machineIdSchema,
    seconds: secondsSchema,
    bytes: bytesSchema,
    filter: filterSchema.optional(),
  }),
] as const;

export const packetResponseSchemas = {
  'open-refused': z.object({ cables: z.array(z.object({ index: z.int(), machine: machineIdSchema })) }),
  'open-capture': z.object({}),
} as const;
