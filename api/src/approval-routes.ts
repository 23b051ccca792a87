// The routes of the REST contract that are about the word of two people; http.ts has them with all others.
import { z } from 'zod';
import {
  approvalSchema,
  approvalsSchema,
  changedOrWaitsSchema,
  changePersonSchema,
  requireApprovalSchema,
  signApprovalSchema,
} from './approvals.ts';
import { machineParams, type HttpRoute } from './route-parts.ts';

const approvalParams = z.object({ approval: z.string().min(1).max(64) });

export const APPROVAL_ROUTES = {
  listApprovals: {
    method: 'get',
    path: '/v1/approvals',
    summary: 'Who may approve exports, which machines ask for that, and what waits to be signed',
    status: 200,
    response: approvalsSchema,
    errors: ['broker-unavailable'],
  },
  showApproval: {
    method: 'get',
    path: '/v1/approvals/{approval}',
    summary: 'What two people are asked for: the statement is what they sign',
    params: approvalParams,
    status: 200,
    response: approvalSchema,
    errors: ['bad-request', 'not-found', 'broker-unavailable'],
  },
  signApproval: {
    method: 'post',
    path: '/v1/approvals/{approval}/signatures',
    summary: 'The word of a person: Ed25519 over the statement. The first asks, the second approves',
    params: approvalParams,
    body: signApprovalSchema,
    bodyRequired: true,
    status: 200,
    response: approvalSchema,
    errors: ['bad-request', 'not-found', 'conflict', 'unauthorized', 'broker-unavailable'],
  },
  changePerson: {
    method: 'post',
    path: '/v1/approvals/people',
    summary: 'Enrols a person, or ends that (key: null); where a machine asks for approval, two people sign it first',
    body: changePersonSchema,
    bodyRequired: true,
    status: 200,
    response: changedOrWaitsSchema,
    errors: ['bad-request', 'not-found', 'name-taken', 'conflict', 'broker-unavailable'],
  },
  requireApproval: {
    method: 'post',
    path: '/v1/machines/{machine}/export-approval',
    summary: 'Whether exports of a machine need the word of two people; to give that up, two people sign',
    params: machineParams,
    body: requireApprovalSchema,
    bodyRequired: true,
    status: 200,
    response: changedOrWaitsSchema,
    errors: ['bad-request', 'name-invalid', 'not-found', 'conflict', 'broker-unavailable'],
  },
} as const satisfies Readonly<Record<string, HttpRoute>>;
