// The routes of the REST contract that are about snapshots; http.ts has them with all others.
import { z } from 'zod';
import { planBackupsSchema } from './backups.ts';
import type { HttpRoute } from './http.ts';
import { machineSchema } from './objects.ts';
import { acceptedSchema, machineParams } from './route-parts.ts';
import { restoreMachineSchema, snapshotListSchema, snapshotReportSchema } from './snapshots.ts';

/** As in `web@3`. */
const snapshotParams = z.object({ snapshot: z.string().min(1).max(128) });

export const SNAPSHOT_ROUTES = {
  listSnapshots: {
    method: 'get',
    path: '/v1/snapshots',
    summary: 'Snapshots of all machines, the newest of each first',
    status: 200,
    response: snapshotListSchema,
    errors: [],
  },
  takeSnapshot: {
    method: 'post',
    path: '/v1/machines/{machine}/snapshots',
    summary: 'Begins to save a machine that runs: memory, devices, TPM and disk, sealed',
    params: machineParams,
    status: 202,
    response: acceptedSchema,
    errors: ['name-invalid', 'not-found', 'conflict', 'attestation-refused', 'warden-unavailable'],
  },
  planBackups: {
    method: 'post',
    path: '/v1/machines/{machine}/backups',
    summary: 'When snapshots of a machine are taken by themselves, and which of those are kept; null ends it',
    params: machineParams,
    body: planBackupsSchema,
    bodyRequired: true,
    status: 200,
    response: machineSchema,
    errors: ['bad-request', 'name-invalid', 'not-found'],
  },
  restoreMachine: {
    method: 'post',
    path: '/v1/machines/{machine}/restore',
    summary: 'Begins to put a stopped machine back to its newest snapshot, or to another by its number',
    params: machineParams,
    body: restoreMachineSchema,
    status: 202,
    response: acceptedSchema,
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict', 'attestation-refused', 'warden-unavailable'],
  },
  checkSnapshot: {
    method: 'post',
    path: '/v1/snapshots/{snapshot}/check',
    summary: 'Whether a snapshot lies there as it was sealed, to the last byte; it needs no key',
    params: snapshotParams,
    status: 200,
    response: snapshotReportSchema,
    errors: ['bad-request', 'name-invalid', 'not-found', 'warden-unavailable'],
  },
  removeSnapshot: {
    method: 'delete',
    path: '/v1/snapshots/{snapshot}',
    summary: 'Destroys the key of a snapshot, then removes it',
    params: snapshotParams,
    status: 200,
    response: z.object({}),
    errors: ['bad-request', 'name-invalid', 'not-found', 'broker-unavailable', 'warden-unavailable'],
  },
} as const satisfies Readonly<Record<string, HttpRoute>>;
