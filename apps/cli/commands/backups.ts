// `ringwall backups`: when snapshots of a machine are taken by themselves, and which of those are kept.
import type { Machine } from '@ringwall/api';
import type { BackupPlan } from '@ringwall/api/backups';
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../invocation.ts';
import { formatSpan, parseCount, parseSeconds } from '../quantities.ts';
import { renderTable } from '../table.ts';
import { plainText } from '../terminal.ts';

const KINDS = ['last', 'hourly', 'daily', 'weekly', 'monthly'] as const;
/** What is kept where nobody says otherwise: two days back in days, two months in weeks, a year in months. */
const KEPT: BackupPlan['keep'] = { last: 3, daily: 7, weekly: 8, monthly: 12 };
/** As in the contract, whose schemas would cost more to load than a command takes. */
const MOST_KEPT = 1000;

export async function run(invocation: Invocation): Promise<void> {
  const { values, flags, self } = invocation;
  const [name] = invocation.arguments;
  const every = values.get('every');
  const keep = values.get('keep');
  if (name === undefined) {
    if (every !== undefined || keep !== undefined || flags.has('off')) throw unnamed(self);
    return list(invocation);
  }
  if (flags.has('off')) return put(invocation, name, null);
  if (every === undefined && keep === undefined) return show(invocation, name);
  if (every === undefined) {
    throw new RingwallError('bad-request', '--keep says what is kept, and nothing says how often one is taken', {
      hint: `as in: ${self} backups ${name} --every 6h --keep ${keep ?? ''}`,
    });
  }
  const everyMinutes = Math.round(parseSeconds(every, '--every') / 60);
  return put(invocation, name, { everyMinutes, keep: keep === undefined ? KEPT : parseKeep(keep) });
}

function unnamed(self: string): RingwallError {
  return new RingwallError('bad-request', 'no machine is named', {
    hint: `as in: ${self} backups web --every 6h`,
  });
}

async function put(invocation: Invocation, name: string, plan: BackupPlan | null): Promise<void> {
  const machine = await invocation.withApi((api) =>
    api.call('planBackups', { params: { machine: name }, body: { plan } }),
  );
  tell(invocation, machine);
}

async function show(invocation: Invocation, name: string): Promise<void> {
  const { machine } = await invocation.withApi((api) => api.call('showMachine', { params: { machine: name } }));
  tell(invocation, machine);
}

function tell(invocation: Invocation, { name, spec: { backups } }: Machine): void {
  const { out, json, self } = invocation;
  if (json) printJson(invocation, { machine: name, backups: backups ?? null });
  else if (backups === undefined) out.line(`No snapshots of ${plainText(name)} are taken by themselves.`);
  else {
    out.line(`A snapshot of ${plainText(name)} is taken ${everyOf(backups)} while it runs; kept: ${keptOf(backups)}.`);
    out.line(`What was taken: ${self} snapshot ls`);
  }
}

async function list(invocation: Invocation): Promise<void> {
  const { out, json, self } = invocation;
  const { machines } = await invocation.withApi((api) => api.call('listMachines', {}));
  const planned = machines.flatMap(({ name, spec }) =>
    spec.backups === undefined ? [] : [{ name, backups: spec.backups }],
  );
  if (json) printJson(invocation, { machines: planned });
  else if (planned.length === 0) out.line(`No machine is backed up by itself. Begin: ${self} backups NAME --every 6h`);
  else {
    const rows = planned.map(({ name, backups }) => [
      { text: plainText(name) },
      { text: everyOf(backups) },
      { text: keptOf(backups) },
    ]);
    for (const line of renderTable(
      out,
      [{ title: 'MACHINE' }, { title: 'TAKEN' }, { title: 'KEPT', elastic: true }],
      rows,
    )) {
      out.line(line);
    }
  }
}

function everyOf({ everyMinutes }: BackupPlan): string {
  return `every ${formatSpan(everyMinutes * 60)}`;
}

function keptOf({ keep }: BackupPlan): string {
  const kept = KINDS.flatMap((kind) => ((keep[kind] ?? 0) > 0 ? [`${kind}=${String(keep[kind])}`] : []));
  return kept.length === 0 ? 'the newest' : kept.join(', ');
}

/** `last=3,daily=7`. */
function parseKeep(text: string): BackupPlan['keep'] {
  const pairs = text.split(',').map((pair): readonly [string, number] => {
    const [, word = '', count = ''] = /^([a-z]+)=(.*)$/.exec(pair.trim()) ?? [];
    if (KINDS.every((kind) => kind !== word)) {
      throw new RingwallError('bad-request', `--keep ${JSON.stringify(pair)} names nothing that can be kept`, {
        hint: `as in --keep last=3,daily=7; there are ${KINDS.join(', ')}`,
      });
    }
    return [word, parseCount(count, `--keep ${word}`, MOST_KEPT)];
  });
  return Object.fromEntries(pairs);
}
