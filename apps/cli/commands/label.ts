// `ringwall label`: which rules are about a machine, changed while it runs.
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../invocation.ts';
import { parseLabels, printLabels } from '../network/labels.ts';
import { plainText } from '../terminal.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, json } = invocation;
  const [name = '', ...words] = invocation.arguments;
  const remove = words.filter((word) => word.endsWith('-') && !word.includes('=')).map((word) => word.slice(0, -1));
  const pairs = words.filter((word) => word.includes('='));
  const odd = words.find((word) => !word.includes('=') && !word.endsWith('-'));
  if (odd !== undefined) {
    throw new RingwallError('bad-request', `${JSON.stringify(odd)} is no label`, {
      hint: 'role=web gives one, and role- takes it',
    });
  }
  const set = pairs.length === 0 ? {} : parseLabels(pairs.join(','));
  const machine = await invocation.withApi((api) =>
    words.length === 0
      ? api.call('showMachine', { params: { machine: name } }).then((detail) => detail.machine)
      : api.call('labelMachine', { params: { machine: name }, body: { set, remove } }),
  );
  const { labels = {} } = machine.spec;
  if (json) printJson(invocation, { machine: machine.name, labels });
  else if (Object.keys(labels).length === 0) out.line(`${plainText(machine.name)} has no labels.`);
  else out.line(`${plainText(machine.name)} is ${plainText(printLabels(labels))}.`);
}
