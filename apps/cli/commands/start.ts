// `ringwall start`: starts stopped machines; each proves itself again before its disk opens.
import { explainMachine } from '../explain-machine.ts';
import type { Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';
import { onEach } from './on-each.ts';

export function run(invocation: Invocation): Promise<number> {
  const { self } = invocation;
  return onEach(invocation, {
    request: (api, machine) => api.call('startMachine', { params: { machine } }),
    done: ({ step }) => `: ${plainText(step)}.`,
    explain: (machine, error) =>
      explainMachine(
        invocation,
        machine,
        error,
        `once the reason is gone: ${self} stop ${machine} && ${self} start ${machine}`,
      ),
    farewell: (machine) => `${machine} goes on starting. See it: ${self} show ${machine}`,
  });
}
