// `ringwall rm`: removes machines for good: disk, TPM, and the key without which no copy of the disk can be read. Imported disks
// that a machine had are none of its own: they stay, and that is said.
import type { ApiClient } from '../api-client.ts';
import type { Invocation } from '../invocation.ts';
import { onEach } from './on-each.ts';

export function run(invocation: Invocation): Promise<number> {
  const { self, flags } = invocation;
  const query: Record<string, string> = flags.has('force') ? { force: 'true' } : {};
  const kept = new Map<string, readonly string[]>();
  return onEach(invocation, {
    request: async (api, machine) => {
      kept.set(machine, await disksOf(api, machine));
      return api.call('removeMachine', { params: { machine }, query });
    },
    done: () => ' is removed: its own disk, its TPM and its key are gone.',
    next: (machine) => {
      const disks = (kept.get(machine) ?? []).join(' ');
      const stays = `What was imported for it stays, with its key: ${disks}. To destroy it: ${self} disk rm ${disks}\n`;
      return `${disks === '' ? '' : stays}The signed record of that: ${self} key erasure ${machine}`;
    },
    farewell: (machine) => `${machine} goes on being removed. See: ${self} ls`,
  });
}

/** The names of the imported disks that a machine has. */
async function disksOf(api: ApiClient, machine: string): Promise<readonly string[]> {
  const { spec } = (await api.call('showMachine', { params: { machine } })).machine;
  if (spec.disks === undefined || spec.disks.length === 0) return [];
  const { disks } = await api.call('listDisks');
  return disks.flatMap(({ id, name }) => (spec.disks?.includes(id) === true ? [name] : []));
}
