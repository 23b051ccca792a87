// Templates of a machine that was saved on a host of the mind, and machines that go on from them: what the tests of these share.
import { newBootId, newMachineId, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import type { SealedKey, VmSpec, WardenResponse } from '@ringwall/api/warden';
import { sealKey, Secret } from '../../keys/index.ts';
import { machineLayout, type MachineLayout } from '../layout.ts';
import { ask, create, SPEC, BROKER_KEY } from './scene.ts';
import { type SnapshotScene, type Taken } from './snapshot-scene.ts';

interface Word {
  readonly snapshot: SnapshotId;
  readonly use: SnapshotKeyRequest['use'];
  readonly clone?: MachineId;
  /** What it is the key of; else of this snapshot. */
  readonly secret?: string;
}

/** As the broker answers it. */
export async function wordFor(
  { warden, id: machine }: SnapshotScene,
  { snapshot, use, clone, secret = snapshot }: Word,
): Promise<SealedKey> {
  const asked = { op: 'ask-snapshot-key', snapshot, machine, use, ...(clone && { clone }) } as const;
  const { request } = await ask<'ask-snapshot-key'>(warden, asked);
  using key = Secret.take(Buffer.alloc(32, secret));
  return { publicKey: request.publicKey, sealed: Buffer.from(sealKey(key, request)).toString('base64') };
}

export async function holdTemplate(
  scene: SnapshotScene,
  { snapshot, root }: Pick<Taken, 'snapshot' | 'root'>,
  below: readonly Taken[] = [],
): Promise<WardenResponse<'hold-template'>> {
  const key = await wordFor(scene, { snapshot, use: 'template' });
  const ancestors = await Promise.all(
    below.map(async (base) => ({ ...base, key: await wordFor(scene, { snapshot: base.snapshot, use: 'base' }) })),
  );
  const order = { machine: scene.id, snapshot, root, key, ancestors };
  return ask<'hold-template'>(scene.warden, { op: 'hold-template', ...order });
}

export interface Clone {
  readonly id: MachineId;
  readonly boot: string;
  readonly paths: MachineLayout;
}

/** That has never run. */
export async function makeClone({ warden, host }: SnapshotScene, spec: VmSpec = SPEC): Promise<Clone> {
  const id = newMachineId();
  await create(warden, id, spec);
  return { id, boot: newBootId(), paths: machineLayout(host.layout, id) };
}

export async function goOn(
  scene: SnapshotScene,
  { id, boot }: Clone,
  snapshot: SnapshotId,
  key?: SealedKey,
): Promise<WardenResponse<'clone-live'>> {
  const order = { machine: id, from: scene.id, snapshot, boot, brokerKey: BROKER_KEY };
  const word = key ?? (await wordFor(scene, { snapshot, use: 'live', clone: id }));
  return ask<'clone-live'>(scene.warden, { op: 'clone-live', ...order, key: word });
}
