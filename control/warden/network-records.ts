// What the warden remembers of networks: what is wanted of each, for as long as it exists; and that a machine is admitted, for as
// long as the boot lives that has proven itself.
import { BOOT_ID, machineIdSchema, RingwallError } from '@ringwall/api';
import { networkIdSchema } from '@ringwall/api/cards';
import { MACHINES_PER_NETWORK, networkDefinitionSchema, networkMachineSchema } from '@ringwall/api/networks';
import { WARDEN_LINE_LIMIT_BYTES } from '@ringwall/api/warden';
import { z } from 'zod';
import { writeFileAtomic } from '../files/index.ts';
import type { MachineLayout, NetworkLayout } from './layout.ts';
import { readJson } from './records.ts';

/** As large as the request that it comes from. */
const NETWORK_RECORD_LIMIT_BYTES = WARDEN_LINE_LIMIT_BYTES;

const networkRecordSchema = z.strictObject({
  version: z.literal(1),
  network: networkIdSchema,
  definition: networkDefinitionSchema,
  machines: z.array(networkMachineSchema.omit({ admitted: true })).max(MACHINES_PER_NETWORK),
});
export type NetworkRecord = z.infer<typeof networkRecordSchema>;

const admissionSchema = z.strictObject({
  version: z.literal(1),
  machine: machineIdSchema,
  network: networkIdSchema,
  boot: z.string().regex(BOOT_ID),
});
export type Admission = z.infer<typeof admissionSchema>;

export async function readNetwork(network: NetworkLayout): Promise<NetworkRecord | undefined> {
  const record = await readJson(network.record, networkRecordSchema, NETWORK_RECORD_LIMIT_BYTES);
  if (record === undefined || record.network === network.id) return record;
  throw new RingwallError('internal', `${network.record} is of another network`);
}

export async function writeNetwork(network: NetworkLayout, record: NetworkRecord): Promise<void> {
  await writeFileAtomic(network.record, `${JSON.stringify(record)}\n`);
}

export async function readAdmission(machine: MachineLayout): Promise<Admission | undefined> {
  const admission = await readJson(machine.admission, admissionSchema);
  if (admission === undefined || admission.machine === machine.id) return admission;
  throw new RingwallError('internal', `${machine.admission} is of another machine`);
}

export async function writeAdmission(machine: MachineLayout, admission: Admission): Promise<void> {
  await writeFileAtomic(machine.admission, `${JSON.stringify(admission)}\n`);
}
