// The requests that the broker takes on its Unix socket, one JSON object a line each way, framed as the warden's are.
// `open-session` turns its connection into the guest's attestation stream once the result line has been sent: from
// there on, every byte comes from the guest, through a host that only relays (docs/protocols/attestation.md).
import { z } from 'zod';
import { diskKeyRequestSchema, diskSizeSchema, diskSourceSchema } from './disks.ts';
import { BOOT_ID, MACHINE_NAME } from './ids.ts';
import { clonesSchema, diskIdSchema, DISKS_PER_MACHINE, encryptionSchema, machineIdSchema } from './objects.ts';
import {
  referenceAcceptedSchema,
  referenceDiffSchema,
  referenceListSchema,
  referenceSubjectSchema,
  referenceTrialSchema,
  whySchema,
} from './references.ts';
import {
  approvalIdSchema,
  approvalSchema,
  approvalsSchema,
  changedOrWaitsSchema,
  changePersonSchema,
  signApprovalSchema,
} from './approvals.ts';
import {
  fingerprintSchema,
  headSchema,
  MAX_BASES,
  movedSpecSchema,
  recipientSchema,
  ticketSchema,
  transferModeSchema,
} from './transfers.ts';
import { sealedRootSchema, snapshotIdSchema, snapshotKeyRequestSchema } from './snapshots.ts';
import {
  imagePartsSchema,
  quarantineSchema,
  strayFileSchema,
  WATCH_INTERVAL_LIMITS_MS,
  watchModeSchema,
  watchReportSchema,
} from './watch.ts';

/** A proof with the logs of its host, of lib/evidence's MAX_PROOF_BYTES, and what frames it. */
export const BROKER_LINE_LIMIT_BYTES: number = 5 * 1024 * 1024;

/** A host's logs in base64, as lib/evidence bounds them. */
const HOST_LIMITS_CHARACTERS = {
  key: 2048,
  attest: 4096,
  certificate: 8192,
  eventLog: 700_000,
  imaLog: 1_400_000,
} as const;

/** Reports with all their reasons stay well below a line. */
export const READ_WATCHES_LIMIT = 64;

/** For the record of what was destroyed. */
const diskName = z.string().regex(MACHINE_NAME);

export const brokerRequestSchema = z.discriminatedUnion('op', [
  z.object({ op: z.literal('status') }),
  /** Binds a machine to its EK for good, and makes its disk key. Idempotent for the same EK, refused for another. */
  z.object({
    op: z.literal('register-machine'),
    machine: machineIdSchema,
    name: z.string(),
    ekCertificate: z.base64(),
    vtpmCa: z.array(z.base64()),
    /** Whether the sectors of its disk carry tags. */
    encryption: encryptionSchema.optional(),
    clones: clonesSchema.optional(),
  }),
  /** What a boot of this machine must measure by the word of its host: a SignedReference of lib/evidence, as JSON. */
  z.object({
    op: z.literal('expect-boot'),
    machine: machineIdSchema,
    boot: z.string().regex(BOOT_ID),
    reference: z.unknown(),
  }),
  z.object({ op: z.literal('open-session'), machine: machineIdSchema, boot: z.string().regex(BOOT_ID) }),
  /** The outcome of the last attestation of this boot. */
  z.object({ op: z.literal('read-verdict'), machine: machineIdSchema, boot: z.string().regex(BOOT_ID) }),
  /** The proof bundle of the last accepted (or else refused) boot. */
  z.object({ op: z.literal('read-proof'), machine: machineIdSchema }),
  /** How this boot is watched once it is unlocked; what was said first of a boot holds. */
  z.object({
    op: z.literal('expect-watch'),
    machine: machineIdSchema,
    boot: z.string().regex(BOOT_ID),
    mode: watchModeSchema,
    intervalMs: z.int().min(WATCH_INTERVAL_LIMITS_MS.min).max(WATCH_INTERVAL_LIMITS_MS.max),
    /** Of the image that this boot is expected to be: one of them is the SHA-256 of its list of files. */
    image: imagePartsSchema,
  }),
  /** A part of such a list, in order; believed by its digest. */
  z.object({
    op: z.literal('add-image-files'),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    offset: z.int().min(0),
    part: z.base64(),
    last: z.boolean(),
  }),
  /** How watched boots stand; those that nobody has ordered are left out. */
  z.object({
    op: z.literal('read-watches'),
    boots: z.array(z.object({ machine: machineIdSchema, boot: z.string().regex(BOOT_ID) })).max(READ_WATCHES_LIMIT),
  }),
  /** What ran in the machine's last boot and is not of its image, and whether it is quarantined. */
  z.object({ op: z.literal('read-watch'), machine: machineIdSchema }),
  /** An operator lifts the quarantine: the next start gets its key. Idempotent. */
  z.object({ op: z.literal('readmit-machine'), machine: machineIdSchema }),
  /** The same as an attestation result for other systems: a JWT with EAR claims. */
  z.object({ op: z.literal('read-ear'), machine: machineIdSchema }),
  /** Why the last evidence is as it is: against what is expected now, and against the last good boot. */
  z.object({ op: z.literal('explain-machine'), machine: machineIdSchema }),
  z.object({ op: z.literal('list-references') }),
  /** Reference values by the word of a host, before anything boots by them. */
  z.object({ op: z.literal('propose-reference'), reference: z.unknown() }),
  /** What accepting it would change. */
  z.object({ op: z.literal('diff-reference'), subject: referenceSubjectSchema }),
  /** What the evidence that was kept would have been judged with it. */
  z.object({ op: z.literal('try-reference'), subject: referenceSubjectSchema }),
  z.object({ op: z.literal('accept-reference'), subject: referenceSubjectSchema }),
  /** Whether the machine's host is to prove itself now; and once `identity` says who it is, the question. */
  z.object({
    op: z.literal('ask-host'),
    machine: machineIdSchema,
    /** As the warden says it of itself. */
    identity: z
      .object({
        vtpmCa: z.base64().max(HOST_LIMITS_CHARACTERS.certificate),
        tpm: z
          .object({
            ekCertificate: z.base64().max(HOST_LIMITS_CHARACTERS.certificate),
            ekPublic: z.base64().max(HOST_LIMITS_CHARACTERS.key),
            akPublic: z.base64().max(HOST_LIMITS_CHARACTERS.key),
          })
          .optional(),
      })
      .optional(),
  }),
  /** The host's answer to such a question; each is taken once. */
  z.object({
    op: z.literal('judge-host'),
    nonce: z.string().regex(/^[0-9a-f]{64}$/),
    quote: z.base64().max(HOST_LIMITS_CHARACTERS.attest),
    quoteSignature: z.base64().max(HOST_LIMITS_CHARACTERS.key),
    eventLog: z.base64().max(HOST_LIMITS_CHARACTERS.eventLog),
    imaLog: z.base64().max(HOST_LIMITS_CHARACTERS.imaLog),
    opened: z.base64().max(HOST_LIMITS_CHARACTERS.key).optional(),
  }),
  /** All that the broker keeps wrapped is wrapped under another root key, and the old one is overwritten. */
  z.object({ op: z.literal('rotate-root-key') }),
  /** The machine's next start brings its disk another key. Idempotent until then. */
  z.object({ op: z.literal('rotate-key'), machine: machineIdSchema }),
  /**
   * The passphrase of a disk that the VMM encrypts, for the host that signed `request` alone: the first `import` makes it,
   * and from then on no other host gets it. `sealed` opens with the private half of the request's `publicKey`.
   */
  z.object({
    op: z.literal('release-disk-key'),
    request: diskKeyRequestSchema,
    /** As of `release-snapshot-key`: of a machine that was moved away, it opens a disk all the same. */
    rewind: z.boolean().optional(),
    /** To which its machine is put back. */
    snapshot: snapshotIdSchema.optional(),
  }),
  /** Destroys the key of a disk. Idempotent. */
  z.object({ op: z.literal('forget-disk'), disk: diskIdSchema, name: diskName }),
  /** Makes the key of a snapshot, for the host that signed `request` alone, and numbers it. Each is begun once. */
  z.object({ op: z.literal('begin-snapshot'), request: snapshotKeyRequestSchema }),
  /** The snapshot is whole and lies on the disk: from now on it is the newest state of its machine. */
  z.object({
    op: z.literal('finish-snapshot'),
    snapshot: snapshotIdSchema,
    root: sealedRootSchema,
    /** The one that it continues, which is not forgotten while it is there. */
    parent: snapshotIdSchema.optional(),
  }),
  /**
   * The key again, to put the machine back, or to open below it what it continues. `rewind`: a person asked for this state by name, though it is not the newest, or
   * was put back before.
   */
  z.object({ op: z.literal('release-snapshot-key'), request: snapshotKeyRequestSchema, rewind: z.boolean() }),
  /** The machine is back in the state that the key was given out for: its TPM is the one of then. Idempotent. */
  z.object({ op: z.literal('confirm-restore'), snapshot: snapshotIdSchema }),
  /** The key again, to hold the memory of a snapshot for machines that go on from it. */
  z.object({ op: z.literal('hold-template'), request: snapshotKeyRequestSchema }),
  /**
   * Gives a machine that was never started, `request.clone`, the key of the disk in a snapshot, until its first start brings
   * it another; and the host that signed `request` the key of the snapshot. Idempotent until that start.
   */
  z.object({ op: z.literal('clone-machine'), request: snapshotKeyRequestSchema }),
  /** The same of one that goes on from a template: the host has the memory, and takes the key for the broker's word. */
  z.object({ op: z.literal('clone-live'), request: snapshotKeyRequestSchema }),
  /** Destroys the key of a snapshot. Idempotent. */
  z.object({ op: z.literal('forget-snapshot'), snapshot: snapshotIdSchema }),
  /** The key that snapshots are exported to, so that this broker alone opens them: a HostRecipient of lib/evidence, as a file. */
  z.object({ op: z.literal('read-recipient') }),
  /** The same object for somebody else: its head with another envelope, and the ticket that goes with it. */
  z.object({
    op: z.literal('export-snapshot'),
    snapshot: snapshotIdSchema,
    machine: machineIdSchema,
    head: headSchema,
    bytes: z.int().min(1),
    takenAt: z.iso.datetime(),
    recipient: recipientSchema,
    mode: transferModeSchema,
    spec: movedSpecSchema,
    /** Its imported disks, in their order. `request`: the word of their host that they are this machine's. */
    disks: z
      .array(
        z.object({
          request: diskKeyRequestSchema,
          name: diskName,
          sizeBytes: diskSizeSchema,
          digest: z.string().regex(/^[0-9a-f]{64}$/),
          source: diskSourceSchema,
        }),
      )
      .max(DISKS_PER_MACHINE)
      .optional(),
    /** What it continues, from the whole one on. */
    bases: z
      .array(
        z.object({ snapshot: snapshotIdSchema, head: headSchema, bytes: z.int().min(1), takenAt: z.iso.datetime() }),
      )
      .max(MAX_BASES)
      .optional(),
  }),
  /**
   * A snapshot that came from elsewhere, or one that it continues: its key for the host that has it, which signed `request`, and its
   * head under that key. One below it that is here already stays: it gets no other key, and none is given out.
   */
  z.object({
    op: z.literal('begin-import'),
    request: snapshotKeyRequestSchema,
    ticket: ticketSchema,
    head: headSchema,
    rewind: z.boolean(),
    accept: fingerprintSchema.optional(),
  }),
  /** It lies where it belongs. Idempotent. */
  z.object({ op: z.literal('finish-import'), ticket: ticketSchema, machine: machineIdSchema, name: diskName }),
  /** Who may approve, which machines ask for it, what waits. */
  z.object({ op: z.literal('list-approvals') }),
  /** Enrols a person, or ends that (`key`: null); with the word of two, once a machine asks for it. */
  z.object({ op: z.literal('change-person'), ...changePersonSchema.shape }),
  /** Whether exports of a machine need the word of two people; raised at once, lowered by two. */
  z.object({ op: z.literal('require-approval'), machine: machineIdSchema, required: z.boolean() }),
  z.object({ op: z.literal('read-approval'), approval: approvalIdSchema }),
  /** A person's signature under the statement of a request. */
  z.object({ op: z.literal('sign-approval'), approval: approvalIdSchema, ...signApprovalSchema.shape }),
  /** The signed record of what `forget-machine` or `forget-disk` has destroyed, by its id or the name that it had. */
  z.object({ op: z.literal('read-erasure'), kind: z.enum(['machine', 'disk']), subject: z.string().max(128) }),
  /** Throws what `forget-machine` would, and destroys nothing: for one that is ended first. */
  z.object({ op: z.literal('check-forget'), machine: machineIdSchema }),
  /** Destroys the machine's keys. Idempotent. `keeps`: the imported disks that it had, whose keys stay. */
  z.object({
    op: z.literal('forget-machine'),
    machine: machineIdSchema,
    keeps: z
      .array(z.object({ id: diskIdSchema, name: diskName }))
      .max(DISKS_PER_MACHINE)
      .optional(),
  }),
]);
export type BrokerRequest = z.infer<typeof brokerRequestSchema>;
export type BrokerOp = BrokerRequest['op'];

export const brokerResponseSchemas = {
  /** `key`: the broker's P-256 public key, X and Y as 128 hex digits. */
  status: z.object({ pid: z.int(), key: z.string(), machines: z.int() }),
  'register-machine': z.object({}),
  'expect-boot': z.object({}),
  'open-session': z.object({}),
  'read-verdict': z.object({
    /** `pending`: nothing was judged yet. `accepted`: key released. `unlocked`: the guest says that it used the key. */
    state: z.enum(['pending', 'accepted', 'unlocked', 'refused', 'failed']),
    reasons: z.array(z.string()),
    proven: z.array(z.string()),
    at: z.iso.datetime().optional(),
    /** With `refused`: there was nothing to judge it by, and what it measured (`proven`) waits for a person. */
    learned: z.literal(true).optional(),
  }),
  'read-proof': z.object({ proof: z.unknown() }),
  /** `wantsFiles`: the list is not here yet; send it by `add-image-files`. */
  'expect-watch': z.object({ wantsFiles: z.boolean() }),
  'add-image-files': z.object({}),
  'read-watches': z.object({
    watches: z.array(
      z.object({ machine: machineIdSchema, boot: z.string().regex(BOOT_ID), report: watchReportSchema }),
    ),
  }),
  'read-watch': z.object({
    files: z.array(strayFileSchema),
    quarantine: quarantineSchema.optional(),
    /** Why the last proof that was asked for has nothing of what ran, where it has not. */
    leftOut: z.string().optional(),
  }),
  /** `lifted`: it was quarantined. */
  'readmit-machine': z.object({ lifted: z.boolean() }),
  'read-ear': z.object({ token: z.string() }),
  'explain-machine': whySchema,
  'list-references': referenceListSchema,
  'propose-reference': z.object({}),
  'diff-reference': referenceDiffSchema,
  'try-reference': referenceTrialSchema,
  'accept-reference': referenceAcceptedSchema,
  'ask-host': z.object({
    wanted: z.boolean(),
    question: z
      .object({
        nonce: z.string(),
        pcrs: z.array(z.int()),
        credential: z.object({ idObject: z.base64(), encryptedSecret: z.base64() }).optional(),
      })
      .optional(),
  }),
  'judge-host': z.object({ outcome: z.enum(['accepted', 'refused']), reasons: z.array(z.string()) }),
  'read-erasure': z.object({ erasure: z.unknown() }),
  'rotate-root-key': z.object({ keys: z.int() }),
  /** `version`: of the key that comes. */
  'rotate-key': z.object({ version: z.int() }),
  'release-disk-key': z.object({ sealed: z.base64() }),
  'forget-disk': z.object({}),
  'begin-snapshot': z.object({ sealed: z.base64(), sequence: z.int() }),
  'finish-snapshot': z.object({}),
  /** `root`: of the object that was sealed with this key. */
  'release-snapshot-key': z.object({ sealed: z.base64(), root: sealedRootSchema }),
  'confirm-restore': z.object({}),
  'hold-template': z.object({ sealed: z.base64(), root: sealedRootSchema }),
  'clone-machine': z.object({ sealed: z.base64(), root: sealedRootSchema }),
  'clone-live': z.object({ sealed: z.base64(), root: sealedRootSchema }),
  'forget-snapshot': z.object({}),
  'list-approvals': approvalsSchema,
  'change-person': changedOrWaitsSchema,
  'require-approval': changedOrWaitsSchema,
  'read-approval': approvalSchema,
  'sign-approval': approvalSchema,
  'read-recipient': z.object({ file: z.string() }),
  'export-snapshot': z.object({
    ticket: ticketSchema,
    head: headSchema,
    bases: z.array(headSchema).max(MAX_BASES).optional(),
  }),
  'begin-import': z.union([
    z.object({ sealed: z.base64(), head: headSchema, ekCertificate: z.base64() }),
    z.object({ here: z.literal(true) }),
  ]),
  'finish-import': z.object({}),
  'check-forget': z.object({}),
  'forget-machine': z.object({}),
} as const satisfies Record<BrokerOp, z.ZodType>;

export type BrokerResponse<Op extends BrokerOp> = z.infer<(typeof brokerResponseSchemas)[Op]>;
