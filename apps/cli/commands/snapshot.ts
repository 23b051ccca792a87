// `ringwall snapshot`: saves machines that run, and looks after what was saved.
import { RingwallError } from '@ringwall/api/errors';
import type { ShownSnapshot, SnapshotReport } from '@ringwall/api/snapshots';
import { exitCodeOf } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { formatAge, formatBytes } from '../quantities.ts';
import { renderTable, type Cell, type Column } from '../table.ts';
import { plainText } from '../terminal.ts';
import { printTrouble } from '../trouble.ts';
import { onEach } from './on-each.ts';

export async function run(invocation: Invocation): Promise<number> {
  const [action, ...names] = invocation.arguments;
  if (action === 'ls') return list(invocation);
  if (action === 'recipient' || action === 'export' || action === 'import') {
    const { exportSnapshot, importSnapshot, printRecipient } = await import('./snapshot-transfer.ts');
    if (action === 'recipient') await printRecipient(invocation);
    else await (action === 'export' ? exportSnapshot : importSnapshot)(invocation, names);
    return 0;
  }
  if (action === 'verify' || action === 'rm') {
    if (names.length === 0) {
      throw new RingwallError('bad-request', 'no snapshot is named', {
        hint: `as in: ${invocation.self} snapshot ${action} web@3; see which there are: ${invocation.self} snapshot ls`,
      });
    }
    return action === 'verify' ? verify(invocation, names) : remove(invocation, names);
  }
  return onEach(invocation, {
    request: (api, machine) =>
      api.call('takeSnapshot', { params: { machine }, body: { full: invocation.flags.has('full') } }),
    done: ({ step }) => `: ${plainText(step)}.`,
    farewell: (machine) => `The snapshot of ${machine} goes on. See it: ${invocation.self} snapshot ls`,
  });
}

async function list(invocation: Invocation): Promise<number> {
  const { out, json, self, now } = invocation;
  const found = await invocation.withApi((api) => api.call('listSnapshots'));
  if (json) printJson(invocation, found);
  else if (found.snapshots.length === 0) out.line(`No snapshots. Take one: ${self} snapshot NAME`);
  else
    for (const line of renderTable(
      out,
      COLUMNS,
      found.snapshots.map((each) => rowOf(each, found.snapshots, now())),
    ))
      out.line(line);
  return 0;
}

const COLUMNS: readonly Column[] = [
  { title: 'SNAPSHOT' },
  { title: 'TAKEN' },
  { title: 'KIND' },
  { title: 'SIZE', align: 'right' },
  { title: 'STOOD STILL', align: 'right' },
  { title: 'ROOT', elastic: true },
];

function rowOf(snapshot: ShownSnapshot, all: readonly ShownSnapshot[], nowMs: number): Cell[] {
  const { machineName, sequence, createdAt, parent, bytes, pauseMs, root } = snapshot;
  const continued = all.find(({ id }) => id === parent);
  return [
    { text: `${machineName}@${String(sequence)}` },
    { text: formatAge(createdAt, nowMs) },
    { text: parent === undefined ? 'full' : `since @${continued === undefined ? '?' : String(continued.sequence)}` },
    { text: formatBytes(bytes) },
    { text: `${pauseMs.toFixed(0)} ms` },
    { text: root },
  ];
}

async function verify(invocation: Invocation, names: readonly string[]): Promise<number> {
  const { out, json } = invocation;
  const reports: ({ readonly name: string } & SnapshotReport)[] = [];
  for (const snapshot of names) {
    const report = await invocation.withApi((api) => api.call('checkSnapshot', { params: { snapshot } }));
    reports.push({ name: snapshot, ...report });
    if (!json) out.line(sentenceOf(snapshot, report));
  }
  if (json) printJson(invocation, { snapshots: reports });
  const whole = reports.every((report) => report.whole);
  return whole ? 0 : exitCodeOf(new RingwallError('proof-invalid', 'a snapshot is not what was sealed'));
}

function sentenceOf(name: string, { whole, records, damaged, at, reason }: SnapshotReport): string {
  if (whole) return `${name} is whole: each of its ${String(records)} records is what was sealed.`;
  const where = at.length === 0 ? '' : `, at byte ${at.slice(0, 3).join(', ')}${at.length > 3 ? ' …' : ''}`;
  if (reason !== undefined) return `${name} is not what was sealed: ${plainText(reason)}${where}.`;
  return `${name} is not what was sealed: ${String(damaged)} of ${String(records)} records are damaged${where}.`;
}

async function remove(invocation: Invocation, names: readonly string[]): Promise<number> {
  const { out, err, json, self } = invocation;
  let exit = 0;
  for (const snapshot of names) {
    try {
      await invocation.withApi((api) => api.call('removeSnapshot', { params: { snapshot } }));
      if (!json) out.line(`${snapshot} is removed, and its key destroyed: no copy of it can be opened again.`);
    } catch (error) {
      if (!(error instanceof RingwallError)) throw error;
      if (exit === 0) exit = exitCodeOf(error);
      printTrouble(err, self, error);
    }
  }
  if (json) printJson(invocation, { removed: exit === 0 });
  return exit;
}
