// What routes of more than one room have in common; http.ts has them all.
import { z } from 'zod';
import { machineSchema, operationSchema } from './objects.ts';

/** A machine's id or name. Loose here: the daemon answers a name that is a path or an option with a reason. */
export const machineParams = z.object({ machine: z.string().min(1).max(128) });

/** What work was accepted. The operation's `machine` says which machine it is about. */
export const acceptedSchema = z.object({ operation: operationSchema });

/** A machine that is being made. */
export const createdMachineSchema = z.object({ machine: machineSchema, operation: operationSchema });
