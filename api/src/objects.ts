// The objects of the public API: what is wanted (`spec`), what is seen (`status`), and a version to compare and set.
import { z } from 'zod';
import { backupPlanSchema } from './backups.ts';
import { ERROR_CODES } from './errors.ts';
import { BOOT_ID, IMAGE_NAME, MACHINE_NAME } from './ids.ts';
import { labelsSchema, networkIdSchema } from './cards.ts';
import { watchDetailSchema, watchModeSchema, watchStateSchema } from './watch.ts';

export const machineIdSchema = z.templateLiteral(['mch_', z.string().regex(/^[a-z2-7]{20}$/)]);
export const diskIdSchema = z.templateLiteral(['dsk_', z.string().regex(/^[a-z2-7]{20}$/)]);
export const operationIdSchema = z.templateLiteral(['op_', z.string().regex(/^[a-z2-7]{20}$/)]);

export const errorBodySchema = z.object({
  code: z.enum(ERROR_CODES),
  message: z.string(),
  hint: z.string().optional(),
});

/** Limits of one machine. The upper ends are those of QEMU's q35; what this host has is checked at creation. */
export const MACHINE_LIMITS = {
  cpus: { min: 1, max: 64 },
  /** The lower end is what OVMF, the kernel and the initrd need to come up. */
  memoryMiB: { min: 192, max: 1024 * 1024 },
  /** The lower end leaves room for the LUKS2 header and a small file system. */
  diskMiB: { min: 32, max: 64 * 1024 * 1024 },
} as const;

/** Imported disks beside its own; each takes a slot of its PCI bus. */
export const DISKS_PER_MACHINE = 8;

/** What a machine gets where its creator names nothing. The disk file is sparse. */
export const MACHINE_DEFAULTS = { cpus: 1, memoryMiB: 512, diskMiB: 1024 } as const;

/** What a disk is protected by: see docs/encryption.md. */
export const encryptionSchema = z.enum(['guest', 'authenticated']);
export type Encryption = z.infer<typeof encryptionSchema>;

/** Whether its broker lets its disk be copied to another machine: decided when it is made, for good. */
export const clonesSchema = z.enum(['deny', 'allow']);
export type Clones = z.infer<typeof clonesSchema>;

export const machineSpecSchema = z.object({
  image: z.string().regex(IMAGE_NAME),
  cpus: z.int().min(MACHINE_LIMITS.cpus.min).max(MACHINE_LIMITS.cpus.max),
  memoryMiB: z.int().min(MACHINE_LIMITS.memoryMiB.min).max(MACHINE_LIMITS.memoryMiB.max),
  diskMiB: z.int().min(MACHINE_LIMITS.diskMiB.min).max(MACHINE_LIMITS.diskMiB.max),
  isolation: z.literal('vm'),
  running: z.boolean(),
  /** Machines that were made before there were watches are told of, and no more. */
  watch: watchModeSchema.default('report'),
  encryption: encryptionSchema.default('guest'),
  /** Where it says nothing, it may not be cloned. */
  clones: clonesSchema.optional(),
  /** The snapshot that its disk was copied from, as it was named then. */
  clonedFrom: z.string().max(128).optional(),
  /** Imported disks that are its alone, in the order in which its guest finds them. */
  disks: z.array(diskIdSchema).max(DISKS_PER_MACHINE).optional(),
  /** When snapshots are taken of it by themselves. */
  backups: backupPlanSchema.optional(),
  /** The network that it has a card in. */
  network: networkIdSchema.optional(),
  /** By which rules of networks know it. */
  labels: labelsSchema.optional(),
});
export type MachineSpec = z.infer<typeof machineSpecSchema>;

/** What was asked for and what /proc says of it, for one protection of one running process. */
export const protectionSchema = z.object({
  id: z.string(), // e.g. 'vmm.no-new-privs'
  title: z.string(),
  state: z.enum(['holds', 'missing', 'unknown']),
  seen: z.string(), // the value read back, e.g. 'NoNewPrivs: 1'
  stops: z.string(), // which adversary of the design this stops, e.g. 'A2'
  hint: z.string().optional(),
});
export type Protection = z.infer<typeof protectionSchema>;

export const MACHINE_PHASES = [
  'creating',
  'stopped',
  'starting',
  'attesting',
  'running',
  'refused',
  'stopping',
  'failed',
] as const;

export const machineStatusSchema = z.object({
  phase: z.enum(MACHINE_PHASES),
  /** `learning`: it boots a system of its own, and nobody has accepted yet what it measured. */
  trust: z.enum(['unknown', 'learning', 'attested', 'refused', 'quarantined']),
  /** Sentences that say why the trust or the phase is what it is. */
  reasons: z.array(z.string()),
  accelerator: z.enum(['kvm', 'tcg']).optional(),
  /** Under TCG: 'emulated: no isolation boundary'. */
  label: z.string().optional(),
  bootId: z.string().regex(BOOT_ID).optional(),
  startedAt: z.iso.datetime().optional(),
  /** The snapshot whose memory it goes on with, as that was named then: it has booted nothing, and is unknown. */
  goesOnFrom: z.string().max(128).optional(),
  attestedAt: z.iso.datetime().optional(),
  diskUnlocked: z.boolean(),
  /** How this boot is watched; absent where it is not. */
  watch: z
    .object({
      mode: watchModeSchema,
      /** As the broker has said last; absent where it has said nothing yet. */
      state: watchStateSchema.optional(),
      /** When the last answer came that counts. */
      seenAt: z.iso.datetime().optional(),
      /** Its quarantine was lifted by an operator, for the next start. */
      readmittedAt: z.iso.datetime().optional(),
    })
    .optional(),
});
export type MachineStatus = z.infer<typeof machineStatusSchema>;

export const machineSchema = z.object({
  id: machineIdSchema,
  tenant: z.string(),
  name: z.string().regex(MACHINE_NAME),
  version: z.int(),
  createdAt: z.iso.datetime(),
  spec: machineSpecSchema,
  status: machineStatusSchema,
});
export type Machine = z.infer<typeof machineSchema>;

export const createMachineSchema = z.object({
  name: z.string().optional(),
  image: z.string(),
  cpus: z.number().optional(),
  memoryMiB: z.number().optional(),
  diskMiB: z.number().optional(),
  /** What follows where something runs that is not of its image; else as its image has it. */
  watch: watchModeSchema.optional(),
  encryption: encryptionSchema.optional(),
  /** Whether it may be cloned; where this says nothing, not. */
  clones: clonesSchema.optional(),
  /** Names of imported disks that it shall have. */
  attach: z.array(z.string().max(128)).max(DISKS_PER_MACHINE).optional(),
  /** The name of the network that it gets a card in, and the labels by which its rules know it. */
  network: z.string().max(128).optional(),
  labels: z.record(z.string().max(64), z.string().max(64)).optional(),
  /** Start it once it is made. */
  start: z.boolean().optional(),
});
export type CreateMachine = z.infer<typeof createMachineSchema>;

export const processNameSchema = z.enum(['ringwalld', 'ringwall-warden', 'ringwall-broker']);
export type ProcessName = z.infer<typeof processNameSchema>;

export const operationSchema = z.object({
  id: operationIdSchema,
  kind: z.enum([
    'machine.create',
    'machine.start',
    'machine.stop',
    'machine.remove',
    'machine.snapshot',
    'machine.restore',
    'template.hold',
    'image.build',
    'disk.import',
  ]),
  machine: machineIdSchema.optional(),
  state: z.enum(['running', 'done', 'failed']),
  /** What is being done now, for a person. */
  step: z.string(),
  /** 0 to 1, where it is known. */
  fraction: z.number().min(0).max(1).optional(),
  /** The process that does not answer now, where it cannot go on without. */
  waitsFor: processNameSchema.optional(),
  error: errorBodySchema.optional(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
export type Operation = z.infer<typeof operationSchema>;

export const imageSchema = z.object({
  name: z.string(),
  title: z.string(),
  built: z.boolean(),
  digest: z.string().optional(),
  bytes: z.int().optional(),
  builtAt: z.iso.datetime().optional(),
  /** The guest's scripts in it are not those of the Ringwall that runs; absent where it is not built. */
  outdated: z.boolean().optional(),
  /** What it was built from; absent where it is not built. */
  kernel: z.string().optional(),
  packages: z.array(z.object({ name: z.string(), version: z.string() })).optional(),
});
export type Image = z.infer<typeof imageSchema>;

/** One line of the audit trail and of the event stream. */
export const eventSchema = z.object({
  seq: z.int(),
  at: z.iso.datetime(),
  kind: z.string(), // e.g. 'machine.attested'
  machine: machineIdSchema.optional(),
  message: z.string(),
});
export type Event = z.infer<typeof eventSchema>;

/** One line of `ringwall doctor`. */
export const findingSchema = z.object({
  id: z.string(),
  title: z.string(),
  state: z.enum(['present', 'missing', 'unknown']),
  seen: z.string(),
  meaning: z.string(),
  hint: z.string().optional(),
});
export type Finding = z.infer<typeof findingSchema>;

export const processInfoSchema = z.object({
  name: processNameSchema,
  state: z.enum(['up', 'down']),
  pid: z.int().optional(),
  uid: z.int().optional(),
  rssBytes: z.int().optional(),
  /** Which build of the programs it was started from; absent where it runs from the sources. */
  build: z.string().optional(),
});

export const hostReportSchema = z.object({
  findings: z.array(findingSchema),
  processes: z.array(processInfoSchema),
});
export type HostReport = z.infer<typeof hostReportSchema>;

export const machineDetailSchema = z.object({
  machine: machineSchema,
  /** Its place in its network; `admitted`: its card leads somewhere now. */
  network: z
    .object({ name: z.string(), addresses: z.array(z.string()), mac: z.string(), admitted: z.boolean() })
    .optional(),
  protections: z.array(protectionSchema),
  /** What was proven at the last accepted boot, as sentences. */
  proven: z.array(z.string()),
  /** What has run since, where it is watched. */
  watch: watchDetailSchema.optional(),
  /** What is not protected on this host, and why. */
  notProtected: z.array(z.string()),
});
export type MachineDetail = z.infer<typeof machineDetailSchema>;
