// `ringwall rm`: removes machines for good: disk, TPM, and the key without which no copy of the disk can be read.
import type { Invocation } from '../invocation.ts';
import { onEach } from './on-each.ts';

export function run(invocation: Invocation): Promise<number> {
  const { self, flags } = invocation;
  const query: Record<string, string> = flags.has('force') ? { force: 'true' } : {};
  return onEach(invocation, {
    request: (api, machine) => api.call('removeMachine', { params: { machine }, query }),
    done: () => ' is removed: its disk, its TPM and its key are gone.',
    next: (machine) => `The signed record of that: ${self} key erasure ${machine}`,
    farewell: (machine) => `${machine} goes on being removed. See: ${self} ls`,
  });
}
