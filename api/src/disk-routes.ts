// The routes of the REST contract that are about imported disks; http.ts has them with all others.
import { z } from 'zod';
import { diskListSchema, importDiskSchema, importedDiskSchema } from './disks.ts';
import { proofSchema, type HttpRoute } from './route-parts.ts';

/** A disk's id or name. */
const diskParams = z.object({ disk: z.string().min(1).max(128) });

export const DISK_ROUTES = {
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
} as const satisfies Record<string, HttpRoute>;
