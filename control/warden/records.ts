// What the warden remembers of a machine: spec.json for as long as the machine exists, boot.json for as long as a boot
// does. Both are versioned, written as a whole, and checked when read, though only root can write there.
import { BOOT_ID, machineIdSchema, RingwallError } from '@ringwall/api';
import { cardSchema, macSchema } from '@ringwall/api/networks';
import { snapshotIdSchema } from '@ringwall/api/snapshots';
import { vmSpecSchema } from '@ringwall/api/warden';
import { z } from 'zod';
import { readFileBounded, writeFileAtomic } from '../files/index.ts';
import type { MachineLayout } from './layout.ts';

/** A record of the warden is some KiB; a larger one was not written by it. */
const RECORD_LIMIT_BYTES = 1024 * 1024;

const specRecordSchema = z.strictObject({
  version: z.literal(1),
  machine: machineIdSchema,
  spec: vmSpecSchema,
  createdAt: z.iso.datetime(),
});
export type SpecRecord = z.infer<typeof specRecordSchema>;

/** With its start time a process cannot be mistaken for a later one with the same number. */
const jailedSchema = z.strictObject({ pid: z.int().min(2), startTime: z.int().min(0), uid: z.int().min(1) });
export type JailedProcess = z.infer<typeof jailedSchema>;

const bootRecordSchema = z.strictObject({
  version: z.literal(1),
  machine: machineIdSchema,
  /** `making`: the TPM is being manufactured. Only `running` is ever adopted; the rest is swept. */
  phase: z.enum(['making', 'starting', 'running', 'stopping']),
  boot: z.string().regex(BOOT_ID).optional(),
  /** /proc/sys/kernel/random/boot_id: process numbers of another boot of the host mean nothing. */
  hostBoot: z.string(),
  startedAt: z.iso.datetime(),
  accelerator: z.enum(['kvm', 'tcg']).optional(),
  /** For the command line that this boot was started with, so that the same start asked twice is known again. */
  brokerKey: z
    .string()
    .regex(/^[0-9a-f]{128}$/)
    .optional(),
  vmm: jailedSchema.optional(),
  tpm: jailedSchema.optional(),
  /** Stands between the two where the guest cannot speak for itself. */
  witness: jailedSchema.optional(),
  /** The card that it may be given, once it is admitted. */
  card: cardSchema.optional(),
  /** The one that it had in the state that it goes on from; its cable leads nowhere. */
  looseCard: z.strictObject({ mac: macSchema }).optional(),
  /** The snapshot whose template its memory is: no file that could be copied, and trusted by nobody. */
  goesOnFrom: snapshotIdSchema.optional(),
  /** JSON of a SignedReference of lib/evidence for exactly this boot set. */
  reference: z.unknown().optional(),
});
export type BootRecord = z.infer<typeof bootRecordSchema>;

/** A boot that came up: everything about it is known. */
export interface RunningBoot extends BootRecord {
  readonly boot: string;
  readonly accelerator: 'kvm' | 'tcg';
  readonly vmm: JailedProcess;
  readonly tpm: JailedProcess;
}

export async function readSpec(machine: MachineLayout): Promise<SpecRecord | undefined> {
  const record = await readJson(machine.spec, specRecordSchema);
  if (record !== undefined && record.machine !== machine.id) {
    throw new RingwallError('internal', `${machine.spec} is of another machine`);
  }
  return record;
}

export async function writeSpec(machine: MachineLayout, record: SpecRecord): Promise<void> {
  await writeFileAtomic(machine.spec, `${JSON.stringify(record, undefined, 2)}\n`);
}

export async function readBoot(machine: MachineLayout): Promise<BootRecord | undefined> {
  const record = await readJson(machine.boot, bootRecordSchema);
  if (record !== undefined && record.machine !== machine.id) {
    throw new RingwallError('internal', `${machine.boot} is of another machine`);
  }
  return record;
}

export async function writeBoot(machine: MachineLayout, record: BootRecord): Promise<void> {
  await writeFileAtomic(machine.boot, `${JSON.stringify(record)}\n`);
}

export function isRunningBoot(record: BootRecord): record is RunningBoot {
  return (
    (record.phase === 'running' || record.phase === 'stopping') &&
    record.boot !== undefined &&
    record.accelerator !== undefined &&
    record.vmm !== undefined &&
    record.tpm !== undefined
  );
}

/** A record of the warden, checked. */
export async function readJson<T>(
  path: string,
  schema: z.ZodType<T>,
  limitBytes = RECORD_LIMIT_BYTES,
): Promise<T | undefined> {
  const bytes = await readFileBounded(path, limitBytes);
  if (bytes === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw damaged(path, error);
  }
  const result = schema.safeParse(value);
  if (!result.success) throw damaged(path, result.error);
  return result.data;
}

function damaged(path: string, cause: unknown): RingwallError {
  return new RingwallError('internal', `${path} cannot be read as a record of the warden`, {
    hint: 'the file was changed by something else: restore it from a backup, or remove the machine',
    cause,
  });
}
