// `ringwall console`: the user's terminal and the machine's serial console, byte for byte, until ctrl-].
import { RingwallError } from '@ringwall/api/errors';
import { attachConsole } from '../console.ts';
import { argumentOf, type Invocation } from '../invocation.ts';

export async function run(invocation: Invocation): Promise<void> {
  const machine = argumentOf(invocation, 0);
  if (invocation.json) {
    throw new RingwallError('bad-request', 'a console is no JSON document', {
      hint: `for a program: ${invocation.self} logs ${machine} --json`,
    });
  }
  const { socket, head } = await invocation.withApi((api) => api.openConsole(machine));
  const { err } = invocation;
  if (process.stdin.isTTY) {
    err.line(err.paint('dim', `The serial console of ${machine}. Enter wakes it, ctrl-] leaves it.`));
  }
  const ended = await attachConsole({ socket, head, input: process.stdin, output: process.stdout });
  err.line(err.paint('dim', `\r\n${ended === 'detached' ? 'Left' : 'The machine closed'} the console of ${machine}.`));
}
