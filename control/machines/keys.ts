// The keys of machines' disks, as the API asks for them: the broker has them, the audit trail says what was asked.
import { RingwallError, type KeyRotation, type Machine } from '@ringwall/api';
import type { WorkParts } from './work.ts';

export async function rotateKey(
  { store, broker }: Pick<WorkParts, 'store' | 'broker'>,
  machine: Machine,
): Promise<KeyRotation> {
  const { id, name } = machine;
  const { version } = await broker.call({ op: 'rotate-key', machine: id });
  await store.appendEvent({
    kind: 'machine.key.ordered',
    machine: id,
    message: `the next start of ${name} gives its disk key ${String(version)}`,
  });
  return { machine, version };
}

export async function rotateRootKey({ store, broker }: Pick<WorkParts, 'store' | 'broker'>): Promise<{ keys: number }> {
  const { keys } = await broker.call({ op: 'rotate-root-key' });
  await store.appendEvent({
    kind: 'broker.root-key.rotated',
    message: `the broker has another root key: ${String(keys)} keys were wrapped anew`,
  });
  return { keys };
}

/** The broker's signed record of the keys that it has destroyed with a machine or a disk. */
export async function readErasure(
  { broker }: Pick<WorkParts, 'broker'>,
  kind: 'machine' | 'disk',
  subject: string,
): Promise<Record<string, unknown>> {
  const { erasure } = await broker.call({ op: 'read-erasure', kind, subject });
  if (typeof erasure !== 'object' || erasure === null || Array.isArray(erasure)) {
    throw new RingwallError('internal', 'the broker answered with something that is no record of an erasure');
  }
  return { ...erasure };
}
