// `ringwall template`: holds the memory of snapshots, so that clones go on from it in a moment.
import { RingwallError } from '@ringwall/api/errors';
import type { ShownTemplate } from '@ringwall/api/templates';
import { exitCodeOf } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { formatAge, formatBytes } from '../quantities.ts';
import { renderTable, type Cell, type Column } from '../table.ts';
import { plainText } from '../terminal.ts';
import { printTrouble } from '../trouble.ts';
import { onEach } from './on-each.ts';

export async function run(invocation: Invocation): Promise<number> {
  const { self } = invocation;
  const [action = '', ...names] = invocation.arguments;
  if (action === 'ls' && names.length === 0) return list(invocation);
  if (action !== 'hold' && action !== 'release') {
    throw new RingwallError('bad-request', `template does not know ${JSON.stringify(action)}`, {
      hint: `as in: ${self} template hold web@1, ${self} template ls, ${self} template release web@1`,
    });
  }
  if (names.length === 0) {
    throw new RingwallError('bad-request', 'no snapshot is named', {
      hint: `as in: ${self} template ${action} web@3; see which there are: ${self} snapshot ls`,
    });
  }
  if (action === 'release') return release(invocation, names);
  return onEach(
    { ...invocation, arguments: names },
    {
      request: (api, snapshot) => api.call('holdTemplate', { params: { snapshot } }),
      done: ({ step }) => ` ${plainText(step)}.`,
      farewell: (name) => `${name} goes on being opened. See it: ${self} template ls`,
    },
  );
}

async function list(invocation: Invocation): Promise<number> {
  const { out, json, self, now } = invocation;
  const found = await invocation.withApi((api) => api.call('listTemplates'));
  if (json) printJson(invocation, found);
  else if (found.templates.length === 0)
    out.line(`Nothing is held. Hold a snapshot: ${self} template hold NAME@NUMBER`);
  else {
    const rows = found.templates.map((template) => rowOf(template, now()));
    for (const line of renderTable(out, COLUMNS, rows)) out.line(line);
  }
  return 0;
}

const COLUMNS: readonly Column[] = [
  { title: 'SNAPSHOT' },
  { title: 'SINCE' },
  { title: 'SIZE', align: 'right' },
  { title: 'HELD', align: 'right' },
  { title: 'GO ON FROM IT', elastic: true },
];

function rowOf({ machineName, sequence, heldAt, bytes, heldBytes, machines }: ShownTemplate, nowMs: number): Cell[] {
  const which = machines.length === 0 ? 'none' : `${String(machines.length)}: ${machines.join(' ')}`;
  return [
    { text: `${machineName}@${String(sequence)}` },
    { text: formatAge(heldAt, nowMs) },
    { text: formatBytes(bytes) },
    { text: formatBytes(heldBytes) },
    { text: plainText(which) },
  ];
}

async function release(invocation: Invocation, names: readonly string[]): Promise<number> {
  const { out, err, json, self } = invocation;
  let exit = 0;
  for (const snapshot of names) {
    try {
      await invocation.withApi((api) => api.call('releaseTemplate', { params: { snapshot } }));
      if (!json) out.line(`${snapshot} is held no more. What goes on from it keeps what it has.`);
    } catch (error) {
      if (!(error instanceof RingwallError)) throw error;
      if (exit === 0) exit = exitCodeOf(error);
      if (!json) printTrouble(err, self, error);
    }
  }
  if (json) printJson(invocation, { released: exit === 0 });
  return exit;
}
