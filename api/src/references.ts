// Reference values in the API: what is accepted, what an update would change, and why a machine differs.
import { z } from 'zod';
import { BOOT_ID, REFERENCE_NAME } from './ids.ts';
import { machineIdSchema } from './objects.ts';

/**
 * What is looked at, tried or accepted: what waits for this image, reference values of a file (a SignedReference of
 * @ringwall/evidence), or a policy. Exactly one of them.
 */
export const referenceSubjectSchema = z.union([
  z.strictObject({ image: z.string().regex(REFERENCE_NAME) }),
  z.strictObject({ reference: z.record(z.string(), z.unknown()) }),
  z.strictObject({ policy: z.record(z.string(), z.unknown()) }),
]);
export type ReferenceSubject = z.infer<typeof referenceSubjectSchema>;

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

export const referenceSchema = z.object({
  id: z.string(),
  image: z.object({ name: z.string(), digest: sha256Hex }),
  kernel: z.object({ name: z.string(), digest: sha256Hex }),
  firmware: z.object({ name: z.string(), digest: sha256Hex }),
  /** Who signed it, for people; the key counts. */
  by: z.string(),
  publicKey: z.string(),
  notAfter: z.iso.datetime(),
  state: z.enum(['proposed', 'accepted', 'retired']),
  how: z.enum(['first-use', 'same-artefacts', 'command', 'not-yet']),
  /** Since when it is in this state. */
  at: z.iso.datetime(),
});
export type Reference = z.infer<typeof referenceSchema>;

export const referenceListSchema = z.object({
  references: z.array(referenceSchema),
  /** P-256 keys of hosts whose word counts for the first of an image. */
  signers: z.array(z.string()),
});
export type ReferenceList = z.infer<typeof referenceListSchema>;

/** Signed reference values, one for each size of machine. */
export const referenceBuiltSchema = z.object({ references: z.array(z.record(z.string(), z.unknown())) });
export type ReferenceBuilt = z.infer<typeof referenceBuiltSchema>;

/** A HostReference of @ringwall/evidence by the host's own word, and files of Ringwall that its IMA policy does not see. */
export const hostReferenceBuiltSchema = z.object({
  reference: z.record(z.string(), z.unknown()),
  unmeasured: z.array(z.string()),
});
export type HostReferenceBuilt = z.infer<typeof hostReferenceBuiltSchema>;

export const earSchema = z.object({ token: z.string() });

export const referenceDiffSchema = z.object({ subject: z.string(), sentences: z.array(z.string()) });
export type ReferenceDiff = z.infer<typeof referenceDiffSchema>;

const outcomeSchema = z.enum(['accepted', 'refused']);

export const referenceTrialSchema = z.object({
  subject: z.string(),
  tried: z.array(
    z.object({
      machine: machineIdSchema,
      name: z.string(),
      boot: z.string().regex(BOOT_ID),
      at: z.iso.datetime(),
      /** What the broker said then, and what it would say. */
      was: outcomeSchema,
      would: outcomeSchema,
      reasons: z.array(z.string()),
    }),
  ),
  /** Evidence that was not tried, for there was too much of it. */
  left: z.int(),
});
export type ReferenceTrial = z.infer<typeof referenceTrialSchema>;

export const referenceAcceptedSchema = z.object({
  subject: z.string(),
  accepted: z.array(z.string()),
  retired: z.array(z.string()),
});
export type ReferenceAccepted = z.infer<typeof referenceAcceptedSchema>;

/** Why a machine's last evidence is as it is. */
export const whySchema = z.object({
  boot: z.string().regex(BOOT_ID),
  at: z.iso.datetime(),
  outcome: outcomeSchema,
  /** What the broker said. */
  reasons: z.array(z.string()),
  lastGoodAt: z.iso.datetime().optional(),
  sentences: z.array(z.string()),
  differences: z.array(
    z.object({
      status: z.string(),
      pcr: z.int(),
      type: z.string(),
      what: z.string(),
      measured: z.string().optional(),
      expected: z.string().optional(),
      file: z.string().optional(),
      package: z.string().optional(),
    }),
  ),
});
export type Why = z.infer<typeof whySchema>;
