// The keys of machines' disks, as the API asks for them: the broker has them, the audit trail says what was asked.
import type { KeyRotation, Machine } from '@ringwall/api';
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
