// `ringwall approvals`: who may approve exports, which machines ask for that, and what waits to be signed.
import type { Approval, ChangedOrWaits } from '@ringwall/api/approvals';
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../invocation.ts';
import { parsePerson } from '../sealed/person-key.ts';
import { plainText } from '../terminal.ts';

const WANTS = { enrol: 'alice ringwall-person:…', strike: 'alice', require: 'web', waive: 'web' } as const;

export async function run(invocation: Invocation): Promise<void> {
  const [action, name, key] = invocation.arguments;
  if (action === undefined) return list(invocation);
  if (!isAction(action)) {
    throw new RingwallError('bad-request', `approvals has no ${JSON.stringify(action)}`, {
      hint: `it has ${Object.keys(WANTS).join(', ')}`,
    });
  }
  if (name === undefined || (key === undefined) === (action === 'enrol')) {
    throw new RingwallError('bad-request', `approvals ${action} is not complete`, {
      hint: `as in: ${invocation.self} approvals ${action} ${WANTS[action]}`,
    });
  }
  await invocation.needServices();
  switch (action) {
    case 'enrol':
      return tell(invocation, await changePerson(invocation, name, parsePerson(key ?? '')), `${name} may approve`);
    case 'strike':
      return tell(invocation, await changePerson(invocation, name, null), `the word of ${name} counts no more`);
    case 'require':
      return tell(invocation, await require(invocation, name, true), `exports of ${name} need the word of two people`);
    case 'waive':
    default:
      return tell(invocation, await require(invocation, name, false), `exports of ${name} need nobody’s word`);
  }
}

function isAction(word: string): word is keyof typeof WANTS {
  return Object.hasOwn(WANTS, word);
}

function changePerson(invocation: Invocation, name: string, key: string | null): Promise<ChangedOrWaits> {
  return invocation.withApi((api) => api.call('changePerson', { body: { name, key } }));
}

function require(invocation: Invocation, machine: string, required: boolean): Promise<ChangedOrWaits> {
  return invocation.withApi((api) => api.call('requireApproval', { params: { machine }, body: { required } }));
}

function tell(invocation: Invocation, { waits }: ChangedOrWaits, done: string): void {
  const { out, json, self } = invocation;
  if (json) printJson(invocation, waits === undefined ? { done } : { waits });
  else if (waits === undefined) out.line(`${out.tick} ${plainText(done)}`);
  else {
    out.line(`Two people must say so: ${plainText(waits.id)} waits.`);
    out.line(`Each of them: ${self} approve ${plainText(waits.id)} --as KEYFILE`);
  }
}

async function list(invocation: Invocation): Promise<void> {
  const { out, json } = invocation;
  const [found, { machines }] = await Promise.all([
    invocation.withApi((api) => api.call('listApprovals')),
    invocation.withApi((api) => api.call('listMachines')),
  ]);
  if (json) {
    printJson(invocation, found);
    return;
  }
  const names = machines.filter(({ id }) => found.machines.includes(id)).map(({ name }) => plainText(name));
  out.line(`People: ${found.people.map(({ name }) => plainText(name)).join(', ') || 'none'}`);
  out.line(`Exports that need two of them: ${names.join(', ') || 'none'}`);
  for (const request of found.requests) {
    out.line();
    for (const line of linesOf(request)) out.line(line);
  }
}

/** What is asked, who has signed, and until when it counts; the statement's lines without those that frame it. */
export function linesOf({ id, statement, state, signedBy, expiresAt }: Approval): string[] {
  const asked = statement.split('\n').slice(2, -3).map(plainText);
  const by = signedBy.length === 0 ? 'nobody has signed' : `signed by ${signedBy.map(plainText).join(' and ')}`;
  return [`${plainText(id)}: ${state}, ${by}; until ${expiresAt}`, ...asked.map((line) => `  ${line}`)];
}
