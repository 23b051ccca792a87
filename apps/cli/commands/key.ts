// `ringwall key`: the keys of disks: another one for a machine, at its next start.
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';

export async function run(invocation: Invocation): Promise<void> {
  const [action, ...names] = invocation.arguments;
  if (action !== 'rotate') {
    throw new RingwallError('bad-request', `key has no ${JSON.stringify(action ?? '')}`, { hint: 'it has rotate' });
  }
  const { out, self, json } = invocation;
  if (names.length === 0) {
    throw new RingwallError('bad-request', 'key rotate needs a machine', { hint: `as in: ${self} key rotate hello` });
  }
  await invocation.needServices();
  const rotations = [];
  for (const machine of new Set(names)) {
    const rotation = await invocation.withApi((api) => api.call('rotateMachineKey', { params: { machine } }));
    rotations.push(rotation);
    if (json) continue;
    const name = plainText(rotation.machine.name);
    out.line(
      `The disk of ${name} gets key ${String(rotation.version)} at its next start, in the place of the one it has.`,
    );
    const stop = rotation.machine.status.phase === 'stopped' ? '' : `${self} stop ${name} && `;
    out.line(`Start it anew: ${stop}${self} start ${name}`);
  }
  if (json) printJson(invocation, { rotations });
}
