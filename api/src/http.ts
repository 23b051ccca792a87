// The REST contract of ringwalld as data: one entry a route, with its path, what it takes and what it answers. The
// daemon makes its routes and its OpenAPI document from this table, the CLI its requests; neither writes a path itself.
//
// It is served on a Unix socket, as JSON. An error is any status of 400 or more with `{ "error": ErrorBody }`.
// Long work answers 202 with an operation; follow it at `operationEvents` until its state is not `running`.
import { z } from 'zod';
import { diskListSchema, importDiskSchema, importedDiskSchema } from './disks.ts';
import type { ErrorCode } from './errors.ts';
import { IMAGE_NAME } from './ids.ts';
import { NETWORK_ROUTES } from './network-routes.ts';
import { acceptedSchema, createdMachineSchema, machineParams } from './route-parts.ts';
import { APPROVAL_ROUTES } from './approval-routes.ts';
import { SNAPSHOT_ROUTES } from './snapshot-routes.ts';
import {
  createMachineSchema,
  errorBodySchema,
  eventSchema,
  hostReportSchema,
  imageSchema,
  machineDetailSchema,
  machineSchema,
  operationIdSchema,
  operationSchema,
  processInfoSchema,
} from './objects.ts';
import {
  earSchema,
  hostReferenceBuiltSchema,
  referenceAcceptedSchema,
  referenceBuiltSchema,
  referenceDiffSchema,
  referenceListSchema,
  referenceSubjectSchema,
  referenceTrialSchema,
  whySchema,
} from './references.ts';

/** A request body. The largest honest ones: what a host is, with all that has run on it; a policy of some thousand rules. */
export const HTTP_BODY_LIMIT_BYTES: number = 1024 * 1024;

/** What `logs` answers at most, and what it answers when it is not asked for a number. As the warden's limit. */
export const LOGS_LIMIT_BYTES: number = 512 * 1024;
export const LOGS_DEFAULT_BYTES: number = 64 * 1024;

/** On every answer: the build that ringwalld was started from. Absent where it runs from the sources. */
export const BUILD_HEADER = 'ringwall-build';

/** The protocol that the console's connection is upgraded to: raw bytes both ways. They come from the guest. */
export const CONSOLE_PROTOCOL = 'ringwall-console';

/** A running operation's stream says something at least this often, changed or not. */
export const OPERATION_EVENT_INTERVAL_MS = 1000;

export const HTTP_STATUS_OF_ERROR = {
  'bad-request': 400,
  'not-found': 404,
  'name-taken': 409,
  'name-invalid': 400,
  'spec-invalid': 400,
  'image-unknown': 404,
  'image-failed': 500,
  'host-lacks': 503,
  'host-full': 507,
  conflict: 409,
  'policy-invalid': 422,
  'network-failed': 500,
  'tpm-failed': 500,
  'vmm-failed': 500,
  'guest-silent': 504,
  'attestation-refused': 403,
  'warden-unavailable': 503,
  'broker-unavailable': 503,
  'daemon-unavailable': 503,
  'proof-invalid': 422,
  timeout: 504,
  'too-large': 413,
  unauthorized: 403,
  internal: 500,
} as const satisfies Record<ErrorCode, number>;

export const errorAnswerSchema = z.object({ error: errorBodySchema });
export type ErrorAnswer = z.infer<typeof errorAnswerSchema>;

export const healthSchema = z.object({
  version: z.string(),
  /** Always all three, in the order daemon, warden, broker. */
  processes: z.array(processInfoSchema),
  /** How many operations are under way: with none, the processes can be replaced and nobody notices. */
  operations: z.int(),
});
export type Health = z.infer<typeof healthSchema>;

export const imageListSchema = z.object({ images: z.array(imageSchema) });
export type ImageList = z.infer<typeof imageListSchema>;

export const machineListSchema = z.object({
  machines: z.array(machineSchema),
  /** What an operator should do something about now, as sentences. */
  notices: z.array(z.string()),
});
export type MachineList = z.infer<typeof machineListSchema>;

/** `keys`: how many were wrapped anew. */
export const rootRotationSchema = z.object({ keys: z.int() });

/** `version`: of the key that comes. */
export const keyRotationSchema = z.object({ machine: machineSchema, version: z.int() });
export type KeyRotation = z.infer<typeof keyRotationSchema>;

/** The end of the serial console's log. Guest bytes: hostile to a terminal until they are cleaned. */
export const logsSchema = z.object({ text: z.base64() });
export type Logs = z.infer<typeof logsSchema>;

/** The proof bundle as the broker signed it; `parseProof` of @ringwall/evidence reads it. */
export const proofSchema = z.record(z.string(), z.unknown());

export const createMachineBodySchema = z.strictObject(createMachineSchema.shape);
export const buildImageBodySchema = z.strictObject({ rebuild: z.boolean().optional() });
export type BuildImage = z.infer<typeof buildImageBodySchema>;
export const stopMachineBodySchema = z.strictObject({
  /** How long the guest may take to power down before it is ended. */
  graceMs: z.int().min(0).max(120_000).optional(),
});
export type StopMachine = z.infer<typeof stopMachineBodySchema>;

/** `everything`: all that has run on this host, too, for a policy that lets nothing else run. */
export const hostReferenceBodySchema = z.strictObject({ everything: z.boolean() });
export const referenceBodySchema = z.strictObject({ subject: referenceSubjectSchema });

const imageParams = z.object({ image: z.string().regex(IMAGE_NAME) });
/** A disk's id or name. */
const diskParams = z.object({ disk: z.string().min(1).max(128) });
const operationParams = z.object({ operation: operationIdSchema });

/** The version the caller last saw: `3` or `"3"`. The request is refused as `conflict` where it has moved on. */
const ifMatchHeaders = z.object({
  'if-match': z
    .string()
    .regex(/^"?\d{1,15}"?$/)
    .optional(),
});

const decimal = z.string().regex(/^\d{1,15}$/);

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

export const HTTP_ROUTES = {
  health: {
    method: 'get',
    path: '/v1/health',
    summary: 'Says that ringwalld answers, and which of the three processes are up',
    status: 200,
    response: healthSchema,
    errors: [],
  },
  host: {
    method: 'get',
    path: '/v1/host',
    summary: 'Every protection of this host: present, missing, what that means, how to get it',
    status: 200,
    response: hostReportSchema,
    errors: [],
  },
  listImages: {
    method: 'get',
    path: '/v1/images',
    summary: 'The images that can be built, and which are',
    status: 200,
    response: imageListSchema,
    errors: ['warden-unavailable'],
  },
  buildImage: {
    method: 'post',
    path: '/v1/images/{image}/build',
    summary: 'Builds an image, unless it is there',
    params: imageParams,
    body: buildImageBodySchema,
    status: 202,
    response: acceptedSchema,
    errors: ['bad-request', 'image-unknown', 'warden-unavailable'],
  },
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
  rotateRootKey: {
    method: 'post',
    path: '/v1/broker/rotate-root-key',
    summary: 'Another root key for the broker: all keys that it keeps are wrapped anew, and the old one is overwritten',
    status: 200,
    response: rootRotationSchema,
    errors: ['broker-unavailable'],
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
  listReferences: {
    method: 'get',
    path: '/v1/references',
    summary: 'What images must measure: accepted, proposed, and accepted before',
    status: 200,
    response: referenceListSchema,
    errors: ['broker-unavailable'],
  },
  buildReference: {
    method: 'post',
    path: '/v1/images/{image}/reference',
    summary: 'Computes what machines of an image will measure, signed by this host, and proposes it to the broker',
    params: imageParams,
    status: 200,
    response: referenceBuiltSchema,
    errors: ['bad-request', 'image-unknown', 'conflict', 'warden-unavailable', 'broker-unavailable'],
  },
  hostReference: {
    method: 'post',
    path: '/v1/host/reference',
    summary:
      'What this host is by its own word: its TPM, its boot, the files that start machines; for a person to accept',
    body: hostReferenceBodySchema,
    bodyRequired: true,
    status: 200,
    response: hostReferenceBuiltSchema,
    errors: ['bad-request', 'conflict', 'host-lacks', 'too-large', 'tpm-failed', 'warden-unavailable'],
  },
  diffReference: {
    method: 'post',
    path: '/v1/references/diff',
    summary: 'What accepting it would change, as sentences',
    body: referenceBodySchema,
    bodyRequired: true,
    status: 200,
    response: referenceDiffSchema,
    errors: ['bad-request', 'not-found', 'too-large', 'broker-unavailable'],
  },
  tryReference: {
    method: 'post',
    path: '/v1/references/try',
    summary: 'What the evidence that was kept would have been judged with it; nothing is changed',
    body: referenceBodySchema,
    bodyRequired: true,
    status: 200,
    response: referenceTrialSchema,
    errors: ['bad-request', 'not-found', 'too-large', 'broker-unavailable'],
  },
  acceptReference: {
    method: 'post',
    path: '/v1/references/accept',
    summary: 'Puts it in force: what was accepted of the image before counts no longer',
    body: referenceBodySchema,
    bodyRequired: true,
    status: 200,
    response: referenceAcceptedSchema,
    errors: ['bad-request', 'not-found', 'too-large', 'broker-unavailable'],
  },
  listDisks: {
    method: 'get',
    path: '/v1/disks',
    summary: 'Imported disks, by name, each with the machine that has it',
    status: 200,
    response: diskListSchema,
    errors: [],
  },
  importDisk: {
    method: 'post',
    path: '/v1/disks',
    summary: 'Begins to import a disk, or goes on with an import that was broken off; then send the contents',
    body: importDiskSchema,
    bodyRequired: true,
    status: 202,
    response: importedDiskSchema,
    errors: ['bad-request', 'name-invalid', 'name-taken', 'conflict', 'too-large'],
  },
  diskContents: {
    method: 'get',
    path: '/v1/disks/{disk}/contents',
    summary:
      'The contents of a disk that is being imported: ask with `Connection: Upgrade` and `Upgrade: ringwall-import`; one line of JSON says what is there, then send frames (api/src/disk-stream.ts)',
    params: diskParams,
    status: 101,
    stream: 'upgrade',
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict', 'host-full', 'warden-unavailable'],
  },
  removeDisk: {
    method: 'delete',
    path: '/v1/disks/{disk}',
    summary: 'Destroys the key of a disk that no machine has, then removes it',
    params: diskParams,
    status: 200,
    response: z.object({}),
    errors: ['name-invalid', 'not-found', 'conflict', 'broker-unavailable', 'warden-unavailable'],
  },
  readDiskErasure: {
    method: 'get',
    path: '/v1/disk-erasures/{disk}',
    summary: 'The signed record of the destruction of a removed disk’s key, by its id or the name that it had',
    params: diskParams,
    status: 200,
    response: proofSchema,
    errors: ['name-invalid', 'not-found', 'broker-unavailable'],
  },
  ...NETWORK_ROUTES,
  ...SNAPSHOT_ROUTES,
  ...APPROVAL_ROUTES,
  machineConsole: {
    method: 'get',
    path: '/v1/machines/{machine}/console',
    summary: 'The serial console: ask with `Connection: Upgrade` and `Upgrade: ringwall-console`, then raw bytes',
    params: machineParams,
    status: 101,
    stream: 'upgrade',
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict', 'warden-unavailable'],
  },
  showOperation: {
    method: 'get',
    path: '/v1/operations/{operation}',
    summary: 'How far an operation is',
    params: operationParams,
    status: 200,
    response: operationSchema,
    errors: ['bad-request', 'not-found'],
  },
  operationEvents: {
    method: 'get',
    path: '/v1/operations/{operation}/events',
    summary: 'The operation now and at each change, at least every second (`event: operation`); ends when it has ended',
    params: operationParams,
    status: 200,
    response: operationSchema,
    stream: 'events',
    errors: ['bad-request', 'not-found'],
  },
  events: {
    method: 'get',
    path: '/v1/events',
    summary:
      'The audit trail after `since` (or after Last-Event-ID), then what happens (`event: audit`, `id:` its seq)',
    query: z.strictObject({ since: decimal.optional() }),
    headers: z.object({ 'last-event-id': decimal.optional() }),
    status: 200,
    response: eventSchema,
    stream: 'events',
    errors: ['bad-request'],
  },
} as const satisfies Record<string, HttpRoute>;

export type HttpRouteName = keyof typeof HTTP_ROUTES;

/** Where the generated OpenAPI document is served. */
export const OPENAPI_PATH = '/openapi.json';

/** Where figures for Prometheus are served: text, not JSON, and in OpenMetrics for whoever asks for it. */
export const METRICS_PATH = '/metrics';
