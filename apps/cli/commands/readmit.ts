// `ringwall readmit`: an operator trusts a quarantined machine again; its next start gets its key.
import { RingwallError } from '@ringwall/api/errors';
import { typesWord } from '../ask.ts';
import { argumentOf, printJson, type Invocation } from '../invocation.ts';
import { renderWatch } from '../watch-report.ts';
import { plainText } from '../terminal.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { flags, out, self } = invocation;
  const params = { machine: argumentOf(invocation, 0) };
  await invocation.needServices();
  if (!flags.has('yes')) await confirm(invocation, params.machine);
  const machine = await invocation.withApi((api) => api.call('readmitMachine', { params }));
  if (invocation.json) {
    printJson(invocation, machine);
    return;
  }
  const name = plainText(machine.name);
  out.line(`${name} is readmitted: its next start gets its key.`);
  if (machine.status.phase !== 'running') return;
  out.line(`What has run in this boot stays untrusted. Start it anew: ${self} stop ${name} && ${self} start ${name}`);
}

async function confirm(invocation: Invocation, machine: string): Promise<void> {
  const { err, json, self, now } = invocation;
  if (json || !process.stdin.isTTY) {
    throw new RingwallError(
      'bad-request',
      'to trust a machine again is for somebody to decide, and nobody can be asked here',
      {
        hint: `see what ran: ${self} show ${machine}; then say --yes`,
      },
    );
  }
  const detail = await invocation.withApi((api) => api.call('showMachine', { params: { machine } }));
  const { name, status } = detail.machine;
  for (const reason of status.reasons) err.line(plainText(reason));
  for (const line of renderWatch(detail, { terminal: err, self, nowMs: now() })) err.line(line);
  err.line('');
  err.line(`Its disk opens at its next start, to whatever boots as its image, with all that it holds now.`);
  if (!(await typesWord(plainText(name)))) throw new RingwallError('conflict', `${name} stays as it is`);
}
