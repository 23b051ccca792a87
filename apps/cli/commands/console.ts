// `ringwall console`: the user's terminal and the machine's serial console, byte for byte, until ctrl-]. For a program
// what happens comes as lines of JSON, and what it types is read from standard input as it is.
import { attachConsole } from '../console.ts';
import { consoleEvents, sayEvent } from '../console-events.ts';
import { argumentOf, type Invocation } from '../invocation.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, err, json } = invocation;
  const machine = argumentOf(invocation, 0);
  const { socket, head } = await invocation.withApi((api) => api.openConsole(machine));
  const ends = { socket, head, input: process.stdin };
  if (json) {
    sayEvent(out, { event: 'attached', machine });
    const ended = await attachConsole({ ...ends, output: consoleEvents(out) });
    sayEvent(out, { event: ended === 'detached' ? 'left' : 'closed', machine });
    return;
  }
  if (process.stdin.isTTY) {
    err.line(err.paint('dim', `The serial console of ${machine}. Enter wakes it, ctrl-] leaves it.`));
  }
  const ended = await attachConsole({ ...ends, output: process.stdout });
  err.line(err.paint('dim', `\r\n${ended === 'detached' ? 'Left' : 'The machine closed'} the console of ${machine}.`));
}
