// The routes of the REST contract that are about snapshots; http.ts has them with all others.
import { z } from 'zod';
import { planBackupsSchema } from './backups.ts';
import { machineSchema } from './objects.ts';
import { acceptedSchema, createdMachineSchema, machineParams, type HttpRoute } from './route-parts.ts';
import {
  begunImportSchema,
  exportedSnapshotSchema,
  exportSnapshotSchema,
  hostRecipientSchema,
  importSnapshotSchema,
} from './transfers.ts';
import {
  cloneMachineSchema,
  restoreMachineSchema,
  snapshotListSchema,
  snapshotReportSchema,
  takeSnapshotSchema,
} from './snapshots.ts';
import { templateListSchema } from './templates.ts';

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
    summary: 'Begins to save a machine that runs: memory, devices, TPM and disks, sealed',
    params: machineParams,
    body: takeSnapshotSchema,
    status: 202,
    response: acceptedSchema,
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict', 'attestation-refused', 'warden-unavailable'],
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
  cloneMachine: {
    method: 'post',
    path: '/v1/machines/{machine}/clones',
    summary:
      'Makes another machine with the disk of a snapshot, and an identity, a TPM and a key of its own; `live`: it goes on from a template',
    params: machineParams,
    body: cloneMachineSchema,
    status: 202,
    response: createdMachineSchema,
    errors: [
      ...['bad-request', 'name-invalid', 'name-taken', 'spec-invalid', 'not-found', 'conflict'],
      ...['host-full', 'attestation-refused', 'warden-unavailable'],
    ],
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
  hostRecipient: {
    method: 'get',
    path: '/v1/host/recipient',
    summary: 'The public key that snapshots are exported to, so that this host alone opens them; signed by its broker',
    status: 200,
    response: hostRecipientSchema,
    errors: ['broker-unavailable'],
  },
  exportSnapshot: {
    method: 'post',
    path: '/v1/snapshots/{snapshot}/exports',
    summary: 'Seals a snapshot for somebody else: a ticket and a head, for what /contents gives out',
    params: snapshotParams,
    body: exportSnapshotSchema,
    bodyRequired: true,
    status: 200,
    response: exportedSnapshotSchema,
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict', 'broker-unavailable', 'warden-unavailable'],
  },
  snapshotContents: {
    method: 'get',
    path: '/v1/snapshots/{snapshot}/contents',
    summary:
      'The sealed object of a snapshot behind its head: asked with Upgrade: ringwall-snapshot, the connection is it',
    params: snapshotParams,
    status: 101,
    stream: 'upgrade',
    errors: ['bad-request', 'name-invalid', 'not-found', 'warden-unavailable'],
  },
  beginImport: {
    method: 'post',
    path: '/v1/imports',
    summary: 'Shows the ticket of a snapshot that comes from elsewhere, before the rest of it',
    body: importSnapshotSchema,
    bodyRequired: true,
    status: 200,
    response: begunImportSchema,
    errors: [
      ...['bad-request', 'name-invalid', 'name-taken', 'spec-invalid', 'image-unknown', 'conflict'],
      ...['proof-invalid', 'unauthorized', 'broker-unavailable', 'warden-unavailable'],
    ] as const,
  },
  importContents: {
    method: 'get',
    path: '/v1/imports/{snapshot}/contents',
    summary: 'Takes the sealed object: asked with Upgrade: ringwall-snapshot; answers one line of JSON at its end',
    params: z.object({ snapshot: z.string().min(1).max(128) }),
    status: 101,
    stream: 'upgrade',
    errors: ['bad-request', 'conflict', 'proof-invalid', 'host-full', 'warden-unavailable'],
  },
  listTemplates: {
    method: 'get',
    path: '/v1/templates',
    summary: 'Snapshots that are held in memory, each with the machines that go on from it',
    status: 200,
    response: templateListSchema,
    errors: ['warden-unavailable'],
  },
  holdTemplate: {
    method: 'post',
    path: '/v1/snapshots/{snapshot}/template',
    summary: 'Begins to open the memory of a snapshot, for clones that go on from it in a moment',
    params: snapshotParams,
    status: 202,
    response: acceptedSchema,
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict', 'attestation-refused', 'warden-unavailable'],
  },
  releaseTemplate: {
    method: 'delete',
    path: '/v1/snapshots/{snapshot}/template',
    summary: 'Gives the memory of a template back; machines that go on from it keep what they have',
    params: snapshotParams,
    status: 200,
    response: z.object({}),
    errors: ['bad-request', 'name-invalid', 'not-found', 'warden-unavailable'],
  },
  removeSnapshot: {
    method: 'delete',
    path: '/v1/snapshots/{snapshot}',
    summary: 'Destroys the key of a snapshot, then removes it',
    params: snapshotParams,
    status: 200,
    response: z.object({}),
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict', 'broker-unavailable', 'warden-unavailable'],
  },
} as const satisfies Readonly<Record<string, HttpRoute>>;
