// Which cables of a network are mirrored to its port: what was asked for is kept until it is taken back, and root's consent is asked for
// again each time that somebody looks.
import { machineIdSchema, RingwallError } from '@ringwall/api';
import { networkIdSchema } from '@ringwall/api/cards';
import type { MirrorAnswer } from '@ringwall/api/mirrors';
import type { WardenRequest } from '@ringwall/api/warden';
import { rm } from 'node:fs/promises';
import { z } from 'zod';
import { writeFileAtomic } from '../files/index.ts';
import { hasConsent, requireConsent } from './consent.ts';
import type { WardenContext } from './context.ts';
import type { Layout, NetworkLayout } from './layout.ts';
import { readJson } from './records.ts';
import type { TenantNetwork } from './tenant-network.ts';
import { WARDEN_LINE_LIMIT_BYTES } from '@ringwall/api/warden';

const recordSchema = z.strictObject({
  version: z.literal(1),
  network: networkIdSchema,
  machines: z.union([z.literal('all'), z.array(machineIdSchema)]),
});
export type Mirrored = z.infer<typeof recordSchema>['machines'];

export async function readMirrored(place: NetworkLayout): Promise<Mirrored> {
  const record = await readJson(place.mirror, recordSchema, WARDEN_LINE_LIMIT_BYTES);
  if (record === undefined || record.network === place.id) return record?.machines ?? [];
  throw new RingwallError('internal', `${place.mirror} is of another network`);
}

/** Runs inside the network's queue. */
export async function setMirrored(
  { mirrorConsent }: Layout,
  tenant: TenantNetwork,
  { machines }: Pick<Extract<WardenRequest, { op: 'set-mirror' }>, 'machines'>,
): Promise<MirrorAnswer> {
  const { layout: place } = tenant;
  if (machines.length > 0) await requireConsent(mirrorConsent, 'mirrors');
  if (machines !== 'all') {
    const known = new Set(tenant.wanted?.machines.map(({ machine }) => machine));
    const stranger = machines.find((machine) => !known.has(machine));
    if (stranger !== undefined) throw new RingwallError('not-found', `${stranger} is not in this network`);
  }
  if (machines.length === 0) await rm(place.mirror, { force: true });
  else await writeFileAtomic(place.mirror, `${JSON.stringify({ version: 1, network: place.id, machines })}\n`);
  tenant.mirror.want(machines);
  await tenant.settleMirror();
  if (tenant.mirror.trouble !== undefined) throw new RingwallError('network-failed', tenant.mirror.trouble);
  return await mirrorStateOf({ mirrorConsent }, tenant);
}

export async function mirrorStateOf(
  { mirrorConsent }: Pick<Layout, 'mirrorConsent'>,
  tenant: TenantNetwork,
): Promise<MirrorAnswer> {
  const { machines, mirrored, port } = tenant.mirror.state;
  return {
    machines: machines === 'all' ? machines : [...machines],
    mirrored: [...mirrored],
    namespace: tenant.layout.mirrorPin,
    interface: port,
    allowed: await hasConsent(mirrorConsent),
  };
}

/** Ends what root allows no more. */
export async function endUnallowed(
  { layout, note }: Pick<WardenContext, 'layout' | 'note'>,
  tenant: TenantNetwork,
): Promise<void> {
  if (tenant.mirror.state.machines.length === 0 || (await hasConsent(layout.mirrorConsent))) return;
  await rm(tenant.layout.mirror, { force: true });
  tenant.mirror.want([]);
  await tenant.settleMirror();
  note(`${tenant.layout.id}: root allows no mirrors any more; its mirror has ended`);
}
