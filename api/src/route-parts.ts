// What a route is, and what routes of more than one room have in common; http.ts has them all.
import { z } from 'zod';
import type { ErrorCode } from './errors.ts';
import { machineSchema, operationSchema } from './objects.ts';

export interface HttpRoute {
  readonly method: 'get' | 'post' | 'delete';
  /** With `{param}` as in OpenAPI. */
  readonly path: string;
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  /** A JSON body. Optional unless `bodyRequired`. Unknown fields are refused. */
  readonly body?: z.ZodObject;
  readonly bodyRequired?: true;
  readonly status: 200 | 101 | 202;
  /** The JSON answer; of a stream, what each event's data is. Absent for a raw stream. */
  readonly response?: z.ZodType;
  /** `events`: text/event-stream, `data:` is one line of JSON. `upgrade`: raw bytes once upgraded. */
  readonly stream?: 'events' | 'upgrade';
  readonly errors: readonly ErrorCode[];
}

export const decimal: z.ZodString = z.string().regex(/^\d{1,15}$/);

/** A machine's id or name. Loose here: the daemon answers a name that is a path or an option with a reason. */
export const machineParams = z.object({ machine: z.string().min(1).max(128) });

/** What work was accepted. The operation's `machine` says which machine it is about. */
export const acceptedSchema = z.object({ operation: operationSchema });

/** A machine that is being made. */
export const createdMachineSchema = z.object({ machine: machineSchema, operation: operationSchema });

/** What the broker signed, as it signed it; of a machine's boot, `parseProof` of @ringwall/evidence reads it. */
export const proofSchema = z.record(z.string(), z.unknown());
