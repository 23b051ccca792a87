// `ringwall restore`: puts stopped machines back to a snapshot.
import type { Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';
import { onEach } from './on-each.ts';

export function run(invocation: Invocation): Promise<number> {
  const { self, flags } = invocation;
  const rewind = flags.has('rewind');
  return onEach(invocation, {
    request: (api, name) => {
      const [, machine = name, number] = /^(.*)@(\d{1,9})$/.exec(name) ?? [];
      const body = { ...(number === undefined ? {} : { sequence: Number(number) }), rewind };
      return api.call('restoreMachine', { params: { machine }, body });
    },
    done: ({ step }) => `: ${plainText(step)}.`,
    farewell: (name) => `${name} goes on being put back. See it: ${self} ls`,
  });
}
