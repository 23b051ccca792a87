// `ringwall approve`: a person signs what two people are asked for.
import { RingwallError } from '@ringwall/api/errors';
import { argumentOf, printJson, type Invocation } from '../invocation.ts';
import { readPersonKey } from '../sealed/person-key.ts';
import { plainText } from '../terminal.ts';
import { linesOf } from './approvals.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, err, json, values, self } = invocation;
  const params = { approval: argumentOf(invocation, 0) };
  const file = values.get('as');
  if (file === undefined) {
    throw new RingwallError('bad-request', 'approve needs the key of a person', {
      hint: `as in: ${self} approve ${params.approval} --as alice.key`,
    });
  }
  const person = readPersonKey(file);
  await invocation.needServices();
  const asked = await invocation.withApi((api) => api.call('showApproval', { params }));
  // What is shown is what is signed.
  for (const line of asked.statement.trimEnd().split('\n')) err.line(`  ${plainText(line)}`);
  const body = { key: person.key, signature: person.sign(asked.statement) };
  const signed = await invocation.withApi((api) => api.call('signApproval', { params, body }));
  if (json) {
    printJson(invocation, signed);
    return;
  }
  const [first = ''] = linesOf(signed);
  out.line(`${out.tick} ${first}`);
  if (signed.state === 'asked') out.line('Another person signs next; the same one cannot.');
  if (signed.state === 'approved')
    out.line('It is approved for once: the same export, to the same recipient, goes through.');
}
