// `ringwall doctor`: every protection of this host, present or missing, what that means, and how to get it. Where the
// services cannot be started it still says what it can see itself: their packages, users and processes.
import { existsSync, readFileSync } from 'node:fs';
import type { Finding, HostReport } from '@ringwall/api';
import { RingwallError } from '@ringwall/api/errors';
import { EXIT_CODES } from '../exit-codes.ts';
import { packagesFile, readBuild, SOURCE_BUILD } from '../installation.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { formatBytes } from '../quantities.ts';
import { readAccounts } from '../services/accounts.ts';
import { SERVICE_USERS } from '../services/table.ts';
import { renderTable, type Cell } from '../table.ts';
import { plainText, wrapText, type Style, type Terminal } from '../terminal.ts';

interface Report extends HostReport {
  /** Why the services say nothing. */
  readonly trouble?: { readonly message: string; readonly hint?: string };
}

export async function run(invocation: Invocation): Promise<number> {
  const { out, flags, json } = invocation;
  const own = ownFindings(invocation);
  const report = withBuildFinding(invocation, await fullReport(invocation, own));
  if (json) printJson(invocation, report);
  else for (const line of renderReport(report, out, flags.has('all'))) out.line(line);
  const allUp = report.trouble === undefined && report.processes.every(({ state }) => state === 'up');
  return allUp ? EXIT_CODES.ok.code : EXIT_CODES.hostLacks.code;
}

async function fullReport(invocation: Invocation, own: readonly Finding[]): Promise<Report> {
  const lacking = own.filter(({ state }) => state === 'missing');
  try {
    // A daemon without its warden answers, too: what does not run is started first, and may fail to.
    const trouble = await troubleOf(invocation.needServices());
    const report = await readHost(invocation);
    const told = new Set(report.findings.map(({ id }) => id));
    const findings = [...report.findings, ...lacking.filter(({ id }) => !told.has(id))];
    return { ...report, findings, ...(trouble === undefined ? {} : { trouble }) };
  } catch (error) {
    if (!(error instanceof RingwallError)) throw error;
    return { findings: [...own], processes: [], trouble: error.toBody() };
  }
}

async function troubleOf(work: Promise<void>): Promise<Report['trouble']> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (!(error instanceof RingwallError)) throw error;
    return error.toBody();
  }
}

async function readHost(invocation: Invocation): Promise<HostReport> {
  using progress = invocation.progress();
  progress.step('looking at this host');
  const report = await invocation.api.call('host');
  progress.clear();
  return report;
}

/** A service goes on running what it was started from, whatever was built or installed since. */
function withBuildFinding({ installation, self }: Invocation, report: Report): Report {
  const own = readBuild(installation).id;
  const old = report.processes.filter(({ build }) => build !== undefined && build !== own).map(({ name }) => name);
  if (own === SOURCE_BUILD || old.length === 0) return report;
  const finding: Finding = {
    id: 'services.build',
    title: 'services of this build',
    state: 'missing',
    seen: `another build runs as ${old.join(', ')}`,
    meaning: 'what was changed or mended since they were started is not in force',
    hint: `${self} down; the next command starts the new ones, and machines go on (where systemd runs them: ${self} install)`,
  };
  return { ...report, findings: [...report.findings, finding] };
}

/** What can be seen without asking anybody: packages by a file of theirs, and users. */
function ownFindings(invocation: Invocation): Finding[] {
  const hint = `${invocation.self} setup`;
  const packages = parsePackages(readFileSync(packagesFile(invocation.installation), 'utf8')).map(
    ({ name, witness, reason }): Finding => {
      const there = existsSync(witness);
      return {
        id: `package.${name}`,
        title: `package ${name}`,
        state: there ? 'present' : 'missing',
        seen: there ? witness : `no ${witness}`,
        meaning: reason,
        ...(there ? {} : { hint }),
      };
    },
  );
  const accounts = readAccounts(invocation.self);
  const users = SERVICE_USERS.map((name): Finding => {
    const uid = uidOrUndefined(() => accounts.uidOf(name));
    return {
      id: `user.${name}`,
      title: `system user ${name}`,
      state: uid === undefined ? 'missing' : 'present',
      seen: uid === undefined ? 'not in /etc/passwd' : `uid ${String(uid)}`,
      meaning: 'a service of ours runs as this user, and as nobody else',
      ...(uid === undefined ? { hint } : {}),
    };
  });
  return [...packages, ...users];
}

/** Lines of tools/setup/packages.txt: part, package, witness, reason. A witness that is a command is not looked for. */
export function parsePackages(text: string): { name: string; witness: string; reason: string }[] {
  return text.split('\n').flatMap((line) => {
    const match = /^(?:tools|host)\s+(\S+)\s+(\/\S+)\s+(.+)$/.exec(line);
    return match === null ? [] : [{ name: match[1] ?? '', witness: match[2] ?? '', reason: match[3] ?? '' }];
  });
}

const STATE_STYLES: Readonly<Record<Finding['state'], Style>> = { present: 'green', missing: 'red', unknown: 'yellow' };

export function renderReport(report: Report, terminal: Terminal, explainAll: boolean): string[] {
  const { findings, processes, trouble } = report;
  const sorted = findings.toSorted((a, b) => rank(a) - rank(b));
  const lines: string[] = [];
  if (trouble !== undefined) {
    lines.push(
      `${terminal.cross} ${processes.length > 0 ? 'A service is missing' : 'The services say nothing'}: ${plainText(trouble.message)}`,
    );
    lines.push(...wrapText(plainText(trouble.hint ?? ''), terminal.textColumns, 2), '');
  }
  for (const finding of sorted) lines.push(...renderFinding(finding, terminal, explainAll));
  if (processes.length > 0) {
    lines.push('', ...renderTable(terminal, PROCESS_COLUMNS, processes.map(processRow)));
  }
  const count = (state: Finding['state']): number => findings.filter((finding) => finding.state === state).length;
  lines.push(
    '',
    `${String(count('present'))} present, ${String(count('missing'))} missing, ${String(count('unknown'))} unknown`,
  );
  return lines;
}

const PROCESS_COLUMNS = [
  { title: 'SERVICE' },
  { title: 'STATE' },
  { title: 'PID', align: 'right' } as const,
  { title: 'UID', align: 'right' } as const,
  { title: 'MEMORY', align: 'right' } as const,
];

function renderFinding(
  { title, state, seen, meaning, hint }: Finding,
  terminal: Terminal,
  explainAll: boolean,
): string[] {
  const sign = state === 'present' ? terminal.tick : state === 'missing' ? terminal.cross : terminal.bang;
  const painted = state === 'present' ? plainText(title) : terminal.paint('bold', plainText(title));
  const shown = `  ${sign} ${painted}${seen === '' ? '' : terminal.paint('dim', `  ${plainText(seen)}`)}`;
  if (state === 'present' && !explainAll) return [shown];
  return [
    shown,
    ...wrapText(plainText(meaning), terminal.textColumns, 6),
    ...(hint === undefined ? [] : wrapText(`to get it: ${plainText(hint)}`, terminal.textColumns, 6)).map((line) =>
      terminal.paint('cyan', line),
    ),
  ];
}

function processRow({ name, state, pid, uid, rssBytes }: HostReport['processes'][number]): Cell[] {
  const style = STATE_STYLES[state === 'up' ? 'present' : 'missing'];
  return [
    { text: name },
    { text: state, style },
    { text: pid === undefined ? '' : String(pid) },
    { text: uid === undefined ? '' : String(uid) },
    { text: rssBytes === undefined ? '' : formatBytes(rssBytes) },
  ];
}

/** What is missing comes last, where the eye is when the output ends. */
function rank({ state }: Finding): number {
  return state === 'present' ? 0 : state === 'unknown' ? 1 : 2;
}

function uidOrUndefined(find: () => number): number | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}
