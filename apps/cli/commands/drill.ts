// `ringwall drill`: runs the attacks and tells how each went, without Ringwall and with it.
import { renameSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import { loadDrills, type DrillResult } from '../drills.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { bullet } from '../bullet.ts';
import { goOnAsRoot, isRoot } from '../services/privilege.ts';
import { renderTable, type Cell } from '../table.ts';
import { plainText, type Style, type Terminal } from '../terminal.ts';

export async function run(invocation: Invocation): Promise<number> {
  const { out, err, flags, values, json, arguments: names, self } = invocation;
  const { drills, runDrills } = await loadDrills(invocation.installation);
  if (flags.has('list')) {
    const listed = drills.map(({ name, title, adversaries, inPart = [], story }) => ({
      name,
      title,
      adversaries,
      inPart,
      story,
    }));
    if (json) printJson(invocation, { drills: listed });
    else for (const line of renderList(out, listed)) out.line(line);
    return 0;
  }
  const unknown = names.find((name) => !drills.some((drill) => drill.name === name));
  if (unknown !== undefined) {
    throw new RingwallError('not-found', `there is no drill ${JSON.stringify(unknown)}`, {
      hint: `there are: ${drills.map(({ name }) => name).join(', ')}`,
    });
  }
  if (!isRoot()) goOnAsRoot(invocation, 'the attacks start machines and jails of their own');
  const chosen = names.length === 0 ? drills : drills.filter(({ name }) => names.includes(name));
  using progress = invocation.progress();
  const results = await runDrills(chosen, {
    onStep: (drill, step) => progress.step(`${drill}: ${step}`),
    onResult: ({ outcome }) => (outcome === 'stopped' ? progress.done() : progress.fail()),
  });
  progress.done();
  const output = values.get('output');
  if (output !== undefined) writeResults(resolve(output), results);
  if (json) printJson(invocation, { results });
  else {
    out.line();
    for (const line of renderResults(out, results)) out.line(line);
    if (output !== undefined) err.line(`The results are in ${output}.`);
    else out.line(`\nEvery attempt, told from the attacker's side: ${self} drill --json`);
  }
  return exitOf(results);
}

const LIST_COLUMNS = [{ title: 'DRILL' }, { title: 'STOPS' }, { title: 'ATTACK', elastic: true } as const];

const OUTCOME_STYLES: Readonly<Record<DrillResult['outcome'], Style>> = {
  stopped: 'green',
  'not stopped': 'red',
  void: 'yellow',
  error: 'red',
};

type Listed = Pick<DrillResult, 'name' | 'title' | 'adversaries' | 'inPart'>;

/** As `A5 A7 (A6)`: whom it stops, and in parentheses whom in one step only. */
function adversariesOf({ adversaries, inPart }: Pick<Listed, 'adversaries' | 'inPart'>): string {
  return [...adversaries, ...inPart.map(({ adversary }) => `(${adversary})`)].join(' ');
}

export function renderList(terminal: Terminal, drills: readonly Listed[]): string[] {
  const rows = drills.map((drill): Cell[] => [
    { text: drill.name, style: 'bold' },
    { text: adversariesOf(drill) },
    { text: drill.title },
  ]);
  return [...renderTable(terminal, LIST_COLUMNS, rows), ...renderInPart(terminal, drills)];
}

/** What nobody should read into the tables: an adversary in parentheses has another way. */
function renderInPart(terminal: Terminal, drills: readonly Listed[]): string[] {
  const told = drills.flatMap(({ name, inPart }) =>
    inPart.flatMap(({ adversary, only }) => bullet(terminal, terminal.bang, `${name} stops ${adversary} only ${only}`)),
  );
  return told.length === 0 ? [] : ['', ...told];
}

export function renderResults(terminal: Terminal, results: readonly DrillResult[]): string[] {
  const rows = results.map(({ name, adversaries, inPart, outcome, without, with: against, seconds }): Cell[] => [
    { text: name, style: 'bold' },
    { text: adversariesOf({ adversaries, inPart }) },
    { text: tally(without) },
    { text: tally(against) },
    { text: outcome, style: OUTCOME_STYLES[outcome] },
    { text: `${String(seconds)} s`, style: 'dim' },
  ]);
  const columns = [
    { title: 'DRILL' },
    { title: 'ADVERSARY' },
    { title: 'WITHOUT' },
    { title: 'WITH RINGWALL' },
    { title: 'OUTCOME' },
    { title: 'TIME', align: 'right' } as const,
  ];
  const troubles = results.flatMap(({ name, outcome, error, without, with: against }) => {
    if (outcome === 'stopped') return [];
    const attempts =
      outcome === 'void' ? without.filter(({ succeeded }) => !succeeded) : against.filter(({ succeeded }) => succeeded);
    const told =
      error === undefined ? attempts.map(({ what, seen }) => `${name}: ${what}: ${seen}`) : [`${name}: ${error}`];
    return told.flatMap((sentence) => bullet(terminal, terminal.cross, plainText(sentence)));
  });
  return [
    ...renderTable(terminal, columns, rows),
    ...renderInPart(terminal, results),
    ...(troubles.length === 0 ? [] : ['', ...troubles]),
  ];
}

function tally(attempts: DrillResult['with']): string {
  const succeeded = attempts.filter((attempt) => attempt.succeeded).length;
  if (attempts.length === 0) return 'not tried';
  return `${String(succeeded)} of ${String(attempts.length)} succeed`;
}

function exitOf(results: readonly DrillResult[]): number {
  if (results.some(({ outcome }) => outcome === 'not stopped')) return EXIT_CODES.refused.code;
  return results.every(({ outcome }) => outcome === 'stopped') ? EXIT_CODES.ok.code : EXIT_CODES.failed.code;
}

function writeResults(file: string, results: readonly DrillResult[]): void {
  writeFileSync(`${file}.unfinished`, `${JSON.stringify({ results }, undefined, 2)}\n`);
  renameSync(`${file}.unfinished`, file);
}
