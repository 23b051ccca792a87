// `ringwall key`: the keys of disks: another one for a machine, at its next start; and the record of those that are gone.
import { resolve } from 'node:path';
import type { KeyRotation } from '@ringwall/api';
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';
import { writeWhole } from '../write-whole.ts';

/** As `machine:` in the place of an image: machines and disks may share a name. */
const DISK_PREFIX = 'disk:';

export async function run(invocation: Invocation): Promise<void> {
  const [action, ...names] = invocation.arguments;
  const { self } = invocation;
  if (action !== 'rotate' && action !== 'erasure') {
    throw new RingwallError('bad-request', `key has no ${JSON.stringify(action ?? '')}`, {
      hint: 'it has rotate and erasure',
    });
  }
  const [name] = names;
  if (action === 'rotate' && invocation.flags.has('root')) return rotateRoot(invocation, names);
  if (name === undefined) {
    throw new RingwallError('bad-request', `key ${action} needs a machine`, {
      hint: `as in: ${self} key ${action} hello`,
    });
  }
  if (action === 'rotate') return rotate(invocation, names);
  if (names.length > 1) {
    throw new RingwallError('bad-request', 'key erasure takes one machine', {
      hint: 'each record is a file of its own',
    });
  }
  return writeErasure(invocation, name);
}

async function rotateRoot(invocation: Invocation, names: readonly string[]): Promise<void> {
  if (names.length > 0) {
    throw new RingwallError('bad-request', 'the root key is the broker’s: no machine is named with --root');
  }
  await invocation.needServices();
  const rotation = await invocation.withApi((api) => api.call('rotateRootKey'));
  if (invocation.json) printJson(invocation, rotation);
  else invocation.out.line(`The broker has another root key. Keys that were wrapped anew: ${String(rotation.keys)}.`);
}

async function rotate(invocation: Invocation, names: readonly string[]): Promise<void> {
  const { out, self, json } = invocation;
  await invocation.needServices();
  const rotations: KeyRotation[] = [];
  for (const machine of new Set(names)) {
    const rotation = await invocation.withApi((api) => api.call('rotateMachineKey', { params: { machine } }));
    rotations.push(rotation);
    if (json) continue;
    const name = plainText(rotation.machine.name);
    const stop = rotation.machine.status.phase === 'stopped' ? '' : `${self} stop ${name} && `;
    out.line(
      `The disk of ${name} gets key ${String(rotation.version)} at its next start, in the place of the one it has.`,
    );
    out.line(`Start it anew: ${stop}${self} start ${name}`);
  }
  if (json) printJson(invocation, { rotations });
}

/** Of a machine, or of an imported disk: `disk:NAME`. */
async function writeErasure(invocation: Invocation, subject: string): Promise<void> {
  const { out, self, values, json } = invocation;
  const disk = subject.startsWith(DISK_PREFIX) ? subject.slice(DISK_PREFIX.length) : undefined;
  const name = disk ?? subject;
  const erasure = await invocation.withApi((api) =>
    disk === undefined
      ? api.call('readErasure', { params: { machine: name } })
      : api.call('readDiskErasure', { params: { disk: name } }),
  );
  const text = `${JSON.stringify(erasure, undefined, 2)}\n`;
  const output = values.get('output') ?? `${name}.erasure.json`;
  if (output === '-') {
    out.write(text);
    return;
  }
  writeWhole(resolve(output), text, invocation.environment);
  if (json) {
    printJson(invocation, { [disk === undefined ? 'machine' : 'disk']: name, file: resolve(output) });
    return;
  }
  out.line(`The record of the erasure of ${name} is in ${output}.`);
  out.line(`Check it: ${self} verify ${output}`);
}
