// `ringwall clone`: makes another machine with the disk of a snapshot, and follows it until it has proven itself; or, with --live, machines
// that go on from its memory.
import { RingwallError } from '@ringwall/api/errors';
import type { Invocation } from '../invocation.ts';
import { parseLabels } from '../network/labels.ts';
import { followNewMachine } from '../new-machine.ts';

export async function run(invocation: Invocation): Promise<number> {
  const { values, flags, arguments: words } = invocation;
  const [word = '', more] = words;
  if (more !== undefined) {
    throw new RingwallError('bad-request', 'two machines are named', { hint: 'clones are made one at a time' });
  }
  const [, machine = word, number] = /^(.*)@(\d{1,9})$/.exec(word) ?? [];
  const [name, network, labels] = ['name', 'network', 'label'].map((key) => values.get(key));
  const body = {
    ...(number === undefined ? {} : { sequence: Number(number) }),
    ...(name === undefined ? {} : { name }),
    ...(network === undefined ? {} : { network }),
    ...(labels === undefined ? {} : { labels: parseLabels(labels) }),
  };
  if (flags.has('live')) {
    const { cloneLive } = await import('./clone-live.ts');
    return cloneLive(invocation, machine, body);
  }
  if (values.has('count')) {
    throw new RingwallError('bad-request', '--count is for clones that go on from memory', {
      hint: 'a clone that boots is made by itself; for many at once: --live',
    });
  }
  return followNewMachine(invocation, (api) => api.call('cloneMachine', { params: { machine }, body }));
}
