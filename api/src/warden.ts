// The closed set of requests that the warden takes from ringwalld, on a Unix socket that only ringwalld may open.
// One JSON object a line each way ({"id":1,"request":{...}} → {"id":1,"progress":"…"}* {"id":1,"result":{...}} or
// {"id":1,"error":{...}}). The two `open-*` requests turn their connection into a raw byte stream once the result line
// has been sent. No request carries a path, an argument or a command: the warden builds those itself from ids.
import { z } from 'zod';
import { BOOT_ID, IMAGE_NAME } from './ids.ts';
import { diskKeyRequestSchema, diskKeyUseSchema, diskSizeSchema, importBeginSchema } from './disks.ts';
import { cardSchema, networkRequestSchemas, networkResponseSchemas } from './networks.ts';
import { networkIdSchema } from './cards.ts';
import {
  sealedRootSchema,
  MAX_SNAPSHOT_CHAIN,
  snapshotIdSchema,
  snapshotKeyRequestSchema,
  snapshotReportSchema,
  snapshotUseSchema,
  takenSnapshotSchema,
} from './snapshots.ts';
import { heldTemplateSchema } from './templates.ts';
import { headSchema, MAX_BASES } from './transfers.ts';
import { packetRequestSchemas, packetResponseSchemas } from './packets.ts';
import { imagePartsSchema } from './watch.ts';
import {
  DISKS_PER_MACHINE,
  diskIdSchema,
  findingSchema,
  MACHINE_LIMITS,
  machineIdSchema,
  protectionSchema,
} from './objects.ts';

/** One request or response line. The largest honest one carries a host's logs, 1.5 MiB in base64; the others some KiB. */
export const WARDEN_LINE_LIMIT_BYTES: number = 3 * 1024 * 1024;

/** Of a list of files in one answer: as base64, well below a line. */
export const WARDEN_IMAGE_FILES_PART_BYTES: number = 512 * 1024;

export const vmSpecSchema = z.object({
  image: z.string().regex(IMAGE_NAME),
  cpus: z.int().min(1).max(MACHINE_LIMITS.cpus.max),
  memoryMiB: z.int().min(MACHINE_LIMITS.memoryMiB.min).max(MACHINE_LIMITS.memoryMiB.max),
  diskMiB: z.int().min(MACHINE_LIMITS.diskMiB.min).max(MACHINE_LIMITS.diskMiB.max),
  /** Imported disks, in the order in which the guest finds them. */
  disks: z.array(diskIdSchema).max(DISKS_PER_MACHINE).optional(),
  /** In which it gets a card at each start. */
  network: networkIdSchema.optional(),
});
export type VmSpec = z.infer<typeof vmSpecSchema>;

/** A disk's key as the broker sealed it for the request with this public key. */
const sealedKeySchema = z.object({ publicKey: z.base64().max(64), sealed: z.base64().max(512) });
export type SealedKey = z.infer<typeof sealedKeySchema>;

/** For one start of a machine: one for each imported disk of its specification. */
const diskKeysSchema = z
  .array(sealedKeySchema.extend({ disk: diskIdSchema }))
  .max(DISKS_PER_MACHINE)
  .optional();

/** `root`: as the broker has kept it. */
const chainedSnapshotSchema = z.object({ snapshot: snapshotIdSchema, root: sealedRootSchema, key: sealedKeySchema });
/** What one continues, from the whole one on to the one right before it. */
const ancestorsSchema = z
  .array(chainedSnapshotSchema)
  .max(MAX_SNAPSHOT_CHAIN - 1)
  .default([]);

/** TPM2_MakeCredential's answer: the largest is for an RSA EK. */
const credentialSchema = z.object({ idObject: z.base64().max(512), encryptedSecret: z.base64().max(1024) });

export const wardenRequestSchema = z.discriminatedUnion('op', [
  /** Components, protections and limits of this host; `accelerator` is decided by a probe guest. */
  z.object({ op: z.literal('host-report') }),
  /** Memory, disk and cpus that a new machine could have. */
  z.object({ op: z.literal('host-capacity') }),
  /** Who this host is, by its vTPM CA and by its own TPM, where it has one. */
  z.object({ op: z.literal('host-identity') }),
  /** A quote of the host's TPM for a question of the broker's, and the host's logs. Throws host-lacks without a TPM. */
  z.object({
    op: z.literal('host-evidence'),
    nonce: z.string().regex(/^[0-9a-f]{64}$/),
    pcrs: z.array(z.int().min(0).max(15)).min(1).max(16),
    /** Made by the broker for the EK and the attestation key of `host-identity`. */
    credential: credentialSchema.optional(),
  }),
  /** What this host is by its own word: its TPM, its boot, its files. For a person to accept. */
  z.object({ op: z.literal('host-reference'), everything: z.boolean() }),
  /** Which images can be built, and which are. */
  z.object({ op: z.literal('list-images') }),
  /** Builds an image by name (progress lines), or returns at once where it is there. */
  z.object({ op: z.literal('build-image'), image: z.string().regex(IMAGE_NAME), rebuild: z.boolean().optional() }),
  /** What machines of this image and size will measure, signed by this host. */
  z.object({
    op: z.literal('build-reference'),
    image: z.string().regex(IMAGE_NAME),
    memoryMiB: z.int().min(1).max(MACHINE_LIMITS.memoryMiB.max),
    cpus: z.int().min(1).max(MACHINE_LIMITS.cpus.max),
    brokerKey: z.string().regex(/^[0-9a-f]{128}$/),
  }),
  /** Makes the disk file and the vTPM (EK certificate from this host's CA). Idempotent by id. */
  z.object({ op: z.literal('create-machine'), machine: machineIdSchema, spec: vmSpecSchema }),
  /** Starts TPM and VMM. `brokerKey`: the broker's P-256 public key, X and Y as 128 hex digits, for the command line. */
  z.object({
    op: z.literal('start-machine'),
    machine: machineIdSchema,
    boot: z.string().regex(BOOT_ID),
    brokerKey: z.string().regex(/^[0-9a-f]{128}$/),
    diskKeys: diskKeysSchema,
    /** Of a machine whose specification has a network. */
    card: cardSchema.optional(),
  }),
  /** What the broker wants to see before it releases a disk's key to this host; its answer opens here, once, and soon. */
  z.object({
    op: z.literal('ask-disk-key'),
    disk: diskIdSchema,
    use: diskKeyUseSchema,
    machine: machineIdSchema.optional(),
    boot: z.string().regex(BOOT_ID).optional(),
  }),
  /**
   * Turns this connection into the way by which a disk's contents come (disk-stream.ts); answers lines of
   * `importMessageSchema`. Makes the disk where there is none; one that was broken off goes on.
   */
  z.object({ op: z.literal('import-disk'), disk: diskIdSchema, sizeBytes: diskSizeSchema, key: sealedKeySchema }),
  /** Removes a disk that no machine has. Idempotent. */
  z.object({ op: z.literal('remove-disk'), disk: diskIdSchema }),
  /** As `ask-disk-key`, for a snapshot. */
  z.object({
    op: z.literal('ask-snapshot-key'),
    snapshot: snapshotIdSchema,
    machine: machineIdSchema,
    use: snapshotUseSchema,
    clone: machineIdSchema.optional(),
  }),
  /** Saves a machine that runs in this boot into one sealed object; it lies on the disk when this answers. */
  z.object({
    op: z.literal('take-snapshot'),
    machine: machineIdSchema,
    boot: z.string().regex(BOOT_ID),
    snapshot: snapshotIdSchema,
    sequence: z.int().min(1),
    key: sealedKeySchema,
    /** May be continued: only what has changed since then is saved, where this boot has taken it last. */
    after: snapshotIdSchema.optional(),
  }),
  /** Puts a stopped machine back to a snapshot, in a boot of this id; answers when it runs. */
  z.object({
    op: z.literal('restore-machine'),
    machine: machineIdSchema,
    boot: z.string().regex(BOOT_ID),
    brokerKey: z.string().regex(/^[0-9a-f]{128}$/),
    ...chainedSnapshotSchema.shape,
    ancestors: ancestorsSchema,
    diskKeys: diskKeysSchema,
  }),
  /** Gives a machine that has never run the disk of a snapshot of another. Idempotent until it runs. */
  z.object({
    op: z.literal('clone-disk'),
    machine: machineIdSchema,
    from: machineIdSchema,
    ...chainedSnapshotSchema.shape,
    ancestors: ancestorsSchema,
  }),
  /** Opens the memory of a snapshot of this machine once, for others to go on from. Idempotent while it is held. */
  z.object({
    op: z.literal('hold-template'),
    machine: machineIdSchema,
    ...chainedSnapshotSchema.shape,
    ancestors: ancestorsSchema,
  }),
  z.object({ op: z.literal('list-templates') }),
  /** Machines that go on from it keep what they have. Idempotent. */
  z.object({ op: z.literal('release-template'), snapshot: snapshotIdSchema }),
  /**
   * Lets a machine that has never run go on from the template of a snapshot of another, with a copy of its disk, in a boot of this id.
   * `key`: the broker's word for this very clone. Idempotent while it runs in this boot.
   */
  z.object({
    op: z.literal('clone-live'),
    machine: machineIdSchema,
    from: machineIdSchema,
    snapshot: snapshotIdSchema,
    boot: z.string().regex(BOOT_ID),
    brokerKey: z.string().regex(/^[0-9a-f]{128}$/),
    key: sealedKeySchema,
  }),
  /** Whether it is the object with this root, to the last byte. */
  z.object({
    op: z.literal('check-snapshot'),
    machine: machineIdSchema,
    snapshot: snapshotIdSchema,
    root: sealedRootSchema,
    /** The root of the one that it continues; absent where it is whole. */
    parent: sealedRootSchema.optional(),
  }),
  /** What its object begins with, and how long all of it is: for the broker, where it is to leave this host. */
  z.object({ op: z.literal('read-snapshot-head'), machine: machineIdSchema, snapshot: snapshotIdSchema }),
  /** Turns this connection into what lies behind that. */
  z.object({ op: z.literal('open-snapshot'), machine: machineIdSchema, snapshot: snapshotIdSchema }),
  /** Turns this connection into the way by which an object comes from elsewhere; answers a line of `receivedSchema`. */
  z.object({
    op: z.literal('receive-snapshot'),
    machine: machineIdSchema,
    snapshot: snapshotIdSchema,
    bytes: z.int().min(1),
    root: sealedRootSchema,
    /** What comes before it: all that it continues, from the whole one on, but what is here. */
    bases: z
      .array(z.object({ snapshot: snapshotIdSchema, bytes: z.int().min(1), root: sealedRootSchema }))
      .max(MAX_BASES)
      .optional(),
  }),
  /** What came becomes a snapshot of its machine, which is made where there is none. Nothing is left where this fails. */
  z.object({
    op: z.literal('settle-import'),
    machine: machineIdSchema,
    snapshot: snapshotIdSchema,
    spec: vmSpecSchema,
    head: headSchema,
    key: sealedKeySchema,
    ekCertificate: z.base64().max(8192),
    /** Imported ones, of a machine that is not here: they are made, and filled with what is in it. */
    disks: z
      .array(z.object({ disk: diskIdSchema, sizeBytes: diskSizeSchema, digest: z.string().regex(/^[0-9a-f]{64}$/) }))
      .max(DISKS_PER_MACHINE)
      .optional(),
    /** What it continues, from the whole one on. Without a key: one that is here, which has not come and is not touched. */
    bases: z
      .array(
        z.object({
          snapshot: snapshotIdSchema,
          root: sealedRootSchema,
          came: z.object({ head: headSchema, key: sealedKeySchema }).optional(),
        }),
      )
      .max(MAX_BASES)
      .optional(),
  }),
  /** Idempotent. */
  z.object({ op: z.literal('remove-snapshot'), machine: machineIdSchema, snapshot: snapshotIdSchema }),
  /** Asks the guest to power down, then ends VMM and TPM; all that was made at start is removed. */
  z.object({ op: z.literal('stop-machine'), machine: machineIdSchema, graceMs: z.int().min(0).max(120_000) }),
  /** Removes everything of a stopped machine. Idempotent. */
  z.object({ op: z.literal('remove-machine'), machine: machineIdSchema }),
  /** Stops the processors of a machine that was quarantined in this boot, and lets them go on. Idempotent. */
  z.object({ op: z.literal('pause-machine'), machine: machineIdSchema, boot: z.string().regex(BOOT_ID) }),
  z.object({ op: z.literal('resume-machine'), machine: machineIdSchema, boot: z.string().regex(BOOT_ID) }),
  /** The list of what may run in an image, as it was when the image was put in place; without `offset` its digest alone. */
  z.object({
    op: z.literal('read-image-files'),
    image: z.string().regex(IMAGE_NAME),
    offset: z.int().min(0).optional(),
  }),
  /** That the warden answers; nothing is looked at for it. */
  z.object({ op: z.literal('status') }),
  /** What runs now, seen from /proc and QMP: also how machines are adopted after a restart. */
  z.object({ op: z.literal('list-machines') }),
  /** Every machine that there is, running or not: for a daemon that has lost sight of some. */
  z.object({ op: z.literal('list-existing') }),
  /** Which protections hold for this machine's processes, read back from /proc. */
  z.object({ op: z.literal('read-protections'), machine: machineIdSchema }),
  /** The last `bytes` of the serial console's log. */
  z.object({
    op: z.literal('read-console'),
    machine: machineIdSchema,
    bytes: z
      .int()
      .min(1)
      .max(512 * 1024),
  }),
  /** Turns this connection into the serial console. */
  z.object({ op: z.literal('open-console'), machine: machineIdSchema }),
  /** Turns this connection into the guest's attestation port. */
  z.object({ op: z.literal('open-attest-port'), machine: machineIdSchema }),
  ...networkRequestSchemas,
  ...packetRequestSchemas,
]);
export type WardenRequest = z.infer<typeof wardenRequestSchema>;
export type WardenOp = WardenRequest['op'];

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

/** The expected measurements of one image on this host's firmware, as predicted from the artefacts. */
export const wardenImageSchema = z.object({
  name: z.string(),
  title: z.string(),
  built: z.boolean(),
  digest: sha256Hex.optional(),
  bytes: z.int().optional(),
  builtAt: z.string().optional(),
  outdated: z.boolean().optional(),
  /** What it was built from; Debian packages, absent where it is not built. */
  kernel: z.string().optional(),
  packages: z.array(z.object({ name: z.string(), version: z.string() })).optional(),
});

export const runningMachineSchema = z.object({
  machine: machineIdSchema,
  boot: z.string().regex(BOOT_ID),
  state: z.enum(['running', 'paused', 'tpm-dead', 'vmm-dead']),
  accelerator: z.enum(['kvm', 'tcg']),
  startedAt: z.iso.datetime(),
  vmmPid: z.int(),
  tpmPid: z.int(),
  /** With `vmm-dead`, where it is known: the guest powered itself down. */
  poweredOff: z.boolean().optional(),
});
export type RunningMachine = z.infer<typeof runningMachineSchema>;

export const wardenResponseSchemas = {
  'host-report': z.object({ findings: z.array(findingSchema), accelerator: z.enum(['kvm', 'tcg']) }),
  'host-capacity': z.object({ cpus: z.int(), memoryMiB: z.int(), diskMiB: z.int() }),
  /** `host` and `vtpmCa` (DER, base64) are always there; `lacks` says why there is no `tpm`. */
  'host-identity': z.object({
    host: z.string(),
    vtpmCa: z.base64(),
    tpm: z.object({ ekCertificate: z.base64(), ekPublic: z.base64(), akPublic: z.base64() }).optional(),
    lacks: z.string().optional(),
  }),
  /** `opened`: what was in the credential. */
  'host-evidence': z.object({
    quote: z.base64(),
    quoteSignature: z.base64(),
    eventLog: z.base64(),
    imaLog: z.base64(),
    opened: z.base64().optional(),
  }),
  /** `reference`: a HostReference of lib/evidence, as JSON. `unmeasured`: files of Ringwall that IMA does not see. */
  'host-reference': z.object({
    reference: z.record(z.string(), z.unknown()),
    unmeasured: z.array(z.string()),
  }),
  'list-images': z.object({ images: z.array(wardenImageSchema) }),
  'build-image': z.object({ image: wardenImageSchema }),
  'build-reference': z.object({ reference: z.record(z.string(), z.unknown()) }),
  /** `ekCertificate` DER and `vtpmCa` (the CA's certificates, DER) in base64. */
  'create-machine': z.object({ ekCertificate: z.base64(), vtpmCa: z.array(z.base64()) }),
  /** `reference`: SignedReference of lib/evidence for exactly this boot set, as JSON. */
  'start-machine': z.object({ running: runningMachineSchema, reference: z.unknown() }),
  'ask-disk-key': z.object({ request: diskKeyRequestSchema }),
  'import-disk': importBeginSchema,
  'remove-disk': z.object({}),
  'ask-snapshot-key': z.object({ request: snapshotKeyRequestSchema }),
  'take-snapshot': takenSnapshotSchema,
  'restore-machine': z.object({ running: runningMachineSchema, reference: z.unknown() }),
  'clone-disk': z.object({}),
  'hold-template': heldTemplateSchema,
  'list-templates': z.object({ templates: z.array(heldTemplateSchema) }),
  'release-template': z.object({}),
  'clone-live': z.object({ running: runningMachineSchema, reference: z.unknown() }),
  'check-snapshot': snapshotReportSchema,
  'read-snapshot-head': z.object({ head: headSchema, bytes: z.int() }),
  'open-snapshot': z.object({}),
  'receive-snapshot': z.object({}),
  'settle-import': z.object({}),
  'remove-snapshot': z.object({}),
  'stop-machine': z.object({ graceful: z.boolean() }),
  'remove-machine': z.object({}),
  'pause-machine': z.object({}),
  'resume-machine': z.object({}),
  /** `parts`: what the image's digest is made of, where no part was asked for. */
  'read-image-files': z.object({
    sha256: sha256Hex,
    bytes: z.int(),
    parts: imagePartsSchema.optional(),
    part: z.base64().optional(),
  }),
  /** `pid`: the warden's own. */
  status: z.object({ pid: z.int() }),
  'list-machines': z.object({ machines: z.array(runningMachineSchema) }),
  'list-existing': z.object({ machines: z.array(machineIdSchema) }),
  'read-protections': z.object({ protections: z.array(protectionSchema) }),
  'read-console': z.object({ text: z.base64() }),
  'open-console': z.object({}),
  'open-attest-port': z.object({}),
  ...networkResponseSchemas,
  ...packetResponseSchemas,
} as const satisfies Record<WardenOp, z.ZodType>;

export type WardenResponse<Op extends WardenOp> = z.infer<(typeof wardenResponseSchemas)[Op]>;
