// `ringwall completion`: a script for bash, zsh or fish.
import { RingwallError } from '@ringwall/api/errors';
import { isShell, renderCompletion, SHELLS } from '../completion.ts';
import { argumentOf, printJson, type Invocation } from '../invocation.ts';

export function run(invocation: Invocation): Promise<void> {
  const shell = argumentOf(invocation, 0);
  if (!isShell(shell)) {
    throw new RingwallError('bad-request', `there is no completion for ${JSON.stringify(shell)}`, {
      hint: `there is for ${SHELLS.join(', ')}`,
    });
  }
  const script = renderCompletion(shell);
  if (invocation.json) printJson(invocation, { shell, script });
  else invocation.out.write(script);
  return Promise.resolve();
}
