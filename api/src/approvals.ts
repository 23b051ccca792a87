// The word of two people: who may give it, for what it is asked, and how it is signed. What a person signs is the text that the broker
// shows, to the last byte (Ed25519, RFC 8032).
import { z } from 'zod';
import { machineIdSchema } from './objects.ts';

/** 20 characters of RFC 4648 base32, as ids of objects. */
export const approvalIdSchema = z.templateLiteral(['apr_', z.string().regex(/^[a-z2-7]{20}$/)]);
export type ApprovalId = z.infer<typeof approvalIdSchema>;

export const personNameSchema: z.ZodString = z.string().regex(/^[a-z][a-z0-9-]{0,30}$/);
/** Ed25519, in hexadecimal: what follows `ringwall-person:`. */
export const personKeySchema: z.ZodString = z.string().regex(/^[0-9a-f]{64}$/);

export const personSchema = z.object({ name: personNameSchema, key: personKeySchema, at: z.iso.datetime() });
export type Person = z.infer<typeof personSchema>;

export const approvalSchema = z.object({
  id: approvalIdSchema,
  /** What is signed. */
  statement: z.string(),
  /** `asked`: one has signed. `approved`: two have; of an export, it is used with the next one. */
  state: z.enum(['new', 'asked', 'approved', 'used', 'expired']),
  signedBy: z.array(personNameSchema),
  expiresAt: z.iso.datetime(),
});
export type Approval = z.infer<typeof approvalSchema>;

export const approvalsSchema = z.object({
  people: z.array(personSchema),
  /** Whose exports need two of them. */
  machines: z.array(machineIdSchema),
  /** Those that can still be signed or used. */
  requests: z.array(approvalSchema),
});
export type Approvals = z.infer<typeof approvalsSchema>;

export const changePersonSchema = z.strictObject({
  name: personNameSchema,
  /** Null: this person's word counts no more. */
  key: personKeySchema.nullable(),
});

export const requireApprovalSchema = z.strictObject({ required: z.boolean() });

export const signApprovalSchema = z.strictObject({
  key: personKeySchema,
  signature: z.string().regex(/^[0-9a-f]{128}$/),
});

/** `waits`: it is not done yet, and this must be signed first. */
export const changedOrWaitsSchema = z.object({ waits: approvalSchema.optional() });
export type ChangedOrWaits = z.infer<typeof changedOrWaitsSchema>;
