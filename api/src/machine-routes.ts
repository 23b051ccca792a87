// The routes of the REST contract that are about machines; http.ts has them with all others.
import { z } from 'zod';
import { createMachineSchema, machineDetailSchema, machineSchema } from './objects.ts';
import { earSchema, whySchema } from './references.ts';
import {
  acceptedSchema,
  createdMachineSchema,
  decimal,
  machineParams,
  proofSchema,
  type HttpRoute,
} from './route-parts.ts';

export const machineListSchema = z.object({
  machines: z.array(machineSchema),
  /** What an operator should do something about now, as sentences. */
  notices: z.array(z.string()),
});
export type MachineList = z.infer<typeof machineListSchema>;

/** `version`: of the key that comes. */
export const keyRotationSchema = z.object({ machine: machineSchema, version: z.int() });
export type KeyRotation = z.infer<typeof keyRotationSchema>;

/** The end of the serial console's log. Guest bytes: hostile to a terminal until they are cleaned. */
export const logsSchema = z.object({ text: z.base64() });
export type Logs = z.infer<typeof logsSchema>;

export const createMachineBodySchema = z.strictObject(createMachineSchema.shape);
export const stopMachineBodySchema = z.strictObject({
  /** How long the guest may take to power down before it is ended. */
  graceMs: z.int().min(0).max(120_000).optional(),
  /** A snapshot that is being taken is given up; else it is waited for. */
  force: z.boolean().optional(),
});
export type StopMachine = z.infer<typeof stopMachineBodySchema>;

/** The version the caller last saw: `3` or `"3"`. The request is refused as `conflict` where it has moved on. */
const ifMatchHeaders = z.object({
  'if-match': z
    .string()
    .regex(/^"?\d{1,15}"?$/)
    .optional(),
});

export const MACHINE_ROUTES = {
  listMachines: {
    method: 'get',
    path: '/v1/machines',
    summary: 'All machines, by name',
    query: z.strictObject({ name: z.string().max(128).optional() }),
    status: 200,
    response: machineListSchema,
    errors: ['bad-request'],
  },
  createMachine: {
    method: 'post',
    path: '/v1/machines',
    summary: 'Makes a machine, its disk and its TPM; builds the image first where it is missing; starts it if asked to',
    body: createMachineBodySchema,
    bodyRequired: true,
    status: 202,
    response: createdMachineSchema,
    errors: [
      'bad-request',
      'name-invalid',
      'name-taken',
      'spec-invalid',
      'image-unknown',
      'host-full',
      'too-large',
      'warden-unavailable',
    ],
  },
  showMachine: {
    method: 'get',
    path: '/v1/machines/{machine}',
    summary: 'One machine: which protections hold, what was proven, and what is not protected',
    params: machineParams,
    status: 200,
    response: machineDetailSchema,
    errors: ['name-invalid', 'not-found'],
  },
  startMachine: {
    method: 'post',
    path: '/v1/machines/{machine}/start',
    summary: 'Starts a machine; done once it is attested and its disk is unlocked',
    params: machineParams,
    headers: ifMatchHeaders,
    status: 202,
    response: acceptedSchema,
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict'],
  },
  stopMachine: {
    method: 'post',
    path: '/v1/machines/{machine}/stop',
    summary: 'Asks the guest to power down, then ends it',
    params: machineParams,
    headers: ifMatchHeaders,
    body: stopMachineBodySchema,
    status: 202,
    response: acceptedSchema,
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict'],
  },
  removeMachine: {
    method: 'delete',
    path: '/v1/machines/{machine}',
    summary: 'Removes a stopped machine, its disk, its TPM and its key; with force=true a running one too',
    params: machineParams,
    query: z.strictObject({ force: z.enum(['true', 'false']).optional() }),
    headers: ifMatchHeaders,
    status: 202,
    response: acceptedSchema,
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict'],
  },
  readmitMachine: {
    method: 'post',
    path: '/v1/machines/{machine}/readmit',
    summary: 'Lifts the quarantine of a machine: its next start gets its key; one that was paused goes on',
    params: machineParams,
    status: 200,
    response: machineSchema,
    errors: ['name-invalid', 'not-found', 'conflict', 'broker-unavailable', 'warden-unavailable'],
  },
  rotateMachineKey: {
    method: 'post',
    path: '/v1/machines/{machine}/rotate-key',
    summary: 'The next start of a machine gives its disk another key, in the place of the one it has',
    params: machineParams,
    status: 200,
    response: keyRotationSchema,
    errors: ['name-invalid', 'not-found', 'conflict', 'broker-unavailable'],
  },
  readErasure: {
    method: 'get',
    path: '/v1/erasures/{machine}',
    summary: 'The signed record of the destruction of a removed machine’s keys, by its id or the name that it had',
    params: machineParams,
    status: 200,
    response: proofSchema,
    errors: ['name-invalid', 'not-found', 'broker-unavailable'],
  },
  machineLogs: {
    method: 'get',
    path: '/v1/machines/{machine}/logs',
    summary: 'The last bytes of the serial console',
    params: machineParams,
    query: z.strictObject({ bytes: decimal.optional() }),
    status: 200,
    response: logsSchema,
    errors: ['bad-request', 'name-invalid', 'not-found', 'warden-unavailable'],
  },
  machineProof: {
    method: 'get',
    path: '/v1/machines/{machine}/proof',
    summary: 'The proof bundle of the last accepted (or else refused) boot',
    params: machineParams,
    status: 200,
    response: proofSchema,
    errors: ['name-invalid', 'not-found', 'broker-unavailable'],
  },
  machineEar: {
    method: 'get',
    path: '/v1/machines/{machine}/ear',
    summary: 'The same as an attestation result for other systems: a JWT with EAR claims, signed by the broker',
    params: machineParams,
    status: 200,
    response: earSchema,
    errors: ['name-invalid', 'not-found', 'broker-unavailable'],
  },
  machineWhy: {
    method: 'get',
    path: '/v1/machines/{machine}/why',
    summary: 'Why its last evidence is as it is: against what is expected, and against its last good boot',
    params: machineParams,
    status: 200,
    response: whySchema,
    errors: ['name-invalid', 'not-found', 'broker-unavailable'],
  },
  machineConsole: {
    method: 'get',
    path: '/v1/machines/{machine}/console',
    summary: 'The serial console: ask with `Connection: Upgrade` and `Upgrade: ringwall-console`, then raw bytes',
    params: machineParams,
    status: 101,
    stream: 'upgrade',
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict', 'warden-unavailable'],
  },
} as const satisfies Record<string, HttpRoute>;
