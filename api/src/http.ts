// The REST contract of ringwalld as data: one entry a route, with its path, what it takes and what it answers. The
// daemon makes its routes and its OpenAPI document from this table, the CLI its requests; neither writes a path itself.
//
// It is served on a Unix socket, as JSON. An error is any status of 400 or more with `{ "error": ErrorBody }`.
// Long work answers 202 with an operation; follow it at `operationEvents` until its state is not `running`.
import { z } from 'zod';
import { APPROVAL_ROUTES } from './approval-routes.ts';
import { DISK_ROUTES } from './disk-routes.ts';
import type { ErrorCode } from './errors.ts';
import { IMAGE_ROUTES } from './image-routes.ts';
import { MACHINE_ROUTES } from './machine-routes.ts';
import { NETWORK_ROUTES } from './network-routes.ts';
import {
  errorBodySchema,
  eventSchema,
  hostReportSchema,
  operationIdSchema,
  operationSchema,
  processInfoSchema,
} from './objects.ts';
import { decimal, type HttpRoute } from './route-parts.ts';
import { SNAPSHOT_ROUTES } from './snapshot-routes.ts';

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

/** `keys`: how many were wrapped anew. */
export const rootRotationSchema = z.object({ keys: z.int() });

const operationParams = z.object({ operation: operationIdSchema });

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
  rotateRootKey: {
    method: 'post',
    path: '/v1/broker/rotate-root-key',
    summary: 'Another root key for the broker: all keys that it keeps are wrapped anew, and the old one is overwritten',
    status: 200,
    response: rootRotationSchema,
    errors: ['broker-unavailable'],
  },
  ...IMAGE_ROUTES,
  ...MACHINE_ROUTES,
  ...DISK_ROUTES,
  ...NETWORK_ROUTES,
  ...SNAPSHOT_ROUTES,
  ...APPROVAL_ROUTES,
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
