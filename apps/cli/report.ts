// What people read about a machine: the report at the end of `run`, and the whole of `show`. Pure: detail in, lines out.
import type { Encryption, Machine, MachineDetail, MachineList, Protection } from '@ringwall/api';
import { FOREIGN_IMAGE } from '@ringwall/api/ids';
import { bullet } from './bullet.ts';
import { printLabels } from './network/labels.ts';
import { formatAge, formatMiB, formatTime } from './quantities.ts';
import { renderTable, type Cell } from './table.ts';
import { plainText, wrapText, type Style, type Terminal } from './terminal.ts';
import { renderWatch } from './watch-report.ts';

export interface ReportContext {
  readonly terminal: Terminal;
  readonly self: string;
  readonly nowMs: number;
}

export function renderMachineList(
  { machines, notices }: MachineList,
  { terminal, self, nowMs }: ReportContext,
): string[] {
  const told = notices.map((notice) => `${terminal.bang} ${plainText(notice)}`);
  if (machines.length === 0) return [`There are no machines yet. Start one: ${self} run hello`, ...told];
  const rows = machines.map(({ name, spec, status, createdAt }): Cell[] => [
    { text: plainText(name), style: 'bold' },
    { text: plainText(spec.image) },
    { text: status.phase, ...styled(PHASE_STYLES[status.phase]) },
    { text: status.trust, ...styled(isDoubtful(status) ? 'yellow' : TRUST_STYLES[status.trust]) },
    { text: String(spec.cpus) },
    { text: formatMiB(spec.memoryMiB) },
    { text: formatMiB(spec.diskMiB) },
    { text: formatAge(createdAt, nowMs), style: 'dim' },
  ]);
  const table = renderTable(
    terminal,
    [
      { title: 'NAME', elastic: true },
      { title: 'IMAGE', elastic: true },
      { title: 'STATE' },
      { title: 'TRUST' },
      { title: 'CPUS', align: 'right' },
      { title: 'MEMORY', align: 'right' },
      { title: 'DISK', align: 'right' },
      { title: 'AGE', align: 'right' },
    ],
    rows,
  );
  const labels = [...new Set(machines.flatMap(({ status }) => (status.label === undefined ? [] : [status.label])))];
  const doubts = machines.flatMap(({ name, status }) =>
    isDoubtful(status) ? [`${terminal.bang} ${plainText(name)}: ${plainText(status.reasons[0] ?? '')}`] : [],
  );
  const notes = [...labels.map((label) => `${terminal.bang} ${plainText(label)}`), ...doubts, ...told];
  return notes.length === 0 ? table : [...table, '', ...notes];
}

export function renderRunReport(detail: MachineDetail, context: ReportContext): string[] {
  const { terminal, self } = context;
  const { machine } = detail;
  const name = plainText(machine.name);
  const attested = machine.status.trust === 'attested';
  const heading = attested
    ? `${terminal.paint('bold', name)} runs, and it has proven what it booted.`
    : `${terminal.paint('bold', name)} is ${machine.status.phase}, and its trust is ${machine.status.trust}.`;
  return [
    '',
    heading,
    ...renderReasons(machine, context),
    ...renderProven(detail, context),
    ...renderNotProtected(detail, context),
    '',
    terminal.paint('bold', 'Machine'),
    ...renderFacts(detail, context),
    '',
    terminal.paint('bold', 'Proof'),
    ...wrapText(
      'The broker keeps it, signed. Take it out, and check it offline, here or anywhere:',
      terminal.textColumns,
      2,
    ),
    `    ${self} prove ${name} -o ${name}.proof.json`,
    `    ${self} verify ${name}.proof.json`,
    '',
    terminal.paint('bold', 'Next'),
    ...alignPairs(terminal, [
      [`${self} console ${name}`, 'a shell on its serial console; ctrl-] leaves it'],
      [`${self} show ${name}`, 'which protections hold, read back from /proc'],
      [`${self} stop ${name}`, 'its disk stays, and opens only after the next proof'],
      [`${self} rm --force ${name}`, 'destroys its disk, its TPM and its key'],
    ]),
  ];
}

export function renderMachine(detail: MachineDetail, context: ReportContext): string[] {
  const { terminal } = context;
  const { machine } = detail;
  const { status } = machine;
  const words = [
    terminal.paint(PHASE_STYLES[status.phase], status.phase),
    // A refused machine is refused in both.
    ...(status.trust === status.phase ? [] : [terminal.paint(TRUST_STYLES[status.trust], TRUST_WORDS[status.trust])]),
  ];
  return [
    `${terminal.paint('bold', plainText(machine.name))}  ${words.join(', ')}`,
    ...renderReasons(machine, context),
    ...renderFacts(detail, context),
    ...renderProven(detail, context),
    ...renderWatch(detail, context),
    ...renderProtections(detail.protections, context),
    ...renderNotProtected(detail, context),
  ];
}

export function renderProven({ machine, proven }: MachineDetail, { terminal }: ReportContext): string[] {
  if (proven.length === 0) return [];
  const learning = machine.status.trust === 'learning';
  const sign = learning ? terminal.sign('·', '-') : terminal.tick;
  return [
    '',
    terminal.paint('bold', learning ? 'Measured, and not accepted yet' : 'Proven'),
    ...proven.flatMap((sentence) => bullet(terminal, sign, sentence)),
  ];
}

export function renderNotProtected({ notProtected }: MachineDetail, { terminal }: ReportContext): string[] {
  if (notProtected.length === 0) return [];
  return [
    '',
    terminal.paint('bold', 'Not protected on this host'),
    ...notProtected.flatMap((sentence) => bullet(terminal, terminal.bang, sentence)),
  ];
}

export function alignPairs(terminal: Terminal, pairs: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...pairs.map(([left]) => left.length));
  return pairs.map(([left, right]) => `  ${left.padEnd(width)}  ${terminal.paint('dim', right)}`);
}

const PHASE_STYLES: Readonly<Partial<Record<Machine['status']['phase'], Style>>> = {
  running: 'green',
  refused: 'red',
  failed: 'red',
  starting: 'yellow',
  attesting: 'yellow',
  stopping: 'yellow',
  creating: 'yellow',
  stopped: 'dim',
};

const TRUST_STYLES: Readonly<Record<Machine['status']['trust'], Style>> = {
  attested: 'green',
  learning: 'yellow',
  refused: 'red',
  quarantined: 'red',
  unknown: 'yellow',
};

const TRUST_WORDS: Readonly<Record<Machine['status']['trust'], string>> = {
  attested: 'attested',
  learning: 'learning: not attested',
  refused: 'refused',
  quarantined: 'quarantined',
  unknown: 'trust unknown',
};

const PROTECTION_STYLES: Readonly<Record<Protection['state'], Style>> = {
  holds: 'green',
  missing: 'red',
  unknown: 'yellow',
};

/** Something is off: it is attested still, or nobody knows, or it is quarantined. */
function isDoubtful({ phase, reasons, trust }: Machine['status']): boolean {
  return reasons.length > 0 && (trust === 'quarantined' || phase === 'running');
}

function styled(style: Style | undefined): { style?: Style } {
  return style === undefined ? {} : { style };
}

function renderReasons({ status }: Machine, { terminal }: ReportContext): string[] {
  const calm = isDoubtful(status) ? terminal.bang : terminal.sign('·', '-');
  const sign = status.trust === 'attested' ? calm : terminal.cross;
  return status.reasons.flatMap((reason) => bullet(terminal, sign, reason));
}

function networkFacts({ labels = {} }: Machine['spec'], network: MachineDetail['network']): [string, string][] {
  if (network === undefined) return [];
  const { name, addresses, admitted } = network;
  const words = Object.keys(labels).length === 0 ? [] : [printLabels(labels)];
  const state = admitted ? 'open' : 'shut until it is attested';
  return [['network', plainText([name, addresses.join(' '), ...words, state].join(', '))]];
}

const DISKS: Readonly<Record<Encryption, string>> = { guest: 'LUKS2', authenticated: 'LUKS2 with tags' };

function renderFacts({ machine, network }: MachineDetail, { terminal, nowMs }: ReportContext): string[] {
  const { id, spec, status, createdAt } = machine;
  const { label, startedAt, bootId, accelerator } = status;
  const facts: [string, string][] = [
    ['image', plainText(spec.image)],
    ['size', `${plural(spec.cpus, 'cpu')}, ${formatMiB(spec.memoryMiB)} memory, ${formatMiB(spec.diskMiB)} disk`],
    ['disk', diskWords(spec, status)],
    ...(spec.clonedFrom === undefined ? [] : [['cloned', `from ${spec.clonedFrom}`] as [string, string]]),
    ...(status.goesOnFrom === undefined
      ? []
      : [['memory', `that of ${plainText(status.goesOnFrom)}: it has booted nothing itself`] as [string, string]]),
    ...networkFacts(spec, network),
    ...(accelerator === undefined
      ? []
      : [['runs on', label === undefined ? accelerator : `${accelerator} (${plainText(label)})`] as [string, string]]),
    ...(startedAt === undefined
      ? []
      : [['started', `${formatTime(startedAt)}, ${formatAge(startedAt, nowMs)} ago`] as [string, string]]),
    ...(bootId === undefined ? [] : [['boot', bootId] as [string, string]]),
    ['made', formatTime(createdAt)],
    ['id', id],
  ];
  return facts.map(([name, value]) => `  ${terminal.paint('dim', name.padEnd(8))}  ${value}`);
}

function diskWords({ image, encryption }: Machine['spec'], { diskUnlocked, goesOnFrom }: Machine['status']): string {
  if (image === FOREIGN_IMAGE) return 'imported; the VMM encrypts it';
  const closed = goesOnFrom === undefined ? 'locked' : 'opened by what that memory holds';
  return `${DISKS[encryption]}, ${diskUnlocked ? 'unlocked with the released key' : closed}`;
}

function renderProtections(protections: readonly Protection[], { terminal }: ReportContext): string[] {
  if (protections.length === 0) return [];
  const rows = protections.map(({ title, state, seen, stops }): Cell[] => [
    { text: state, style: PROTECTION_STYLES[state] },
    { text: plainText(title) },
    { text: plainText(stops), style: 'dim' },
    { text: plainText(seen), style: 'dim' },
  ]);
  const columns = [
    { title: 'STATE' },
    { title: 'PROTECTION' },
    { title: 'STOPS' },
    { title: 'SEEN IN /proc', elastic: true } as const,
  ];
  const hints = protections.flatMap(({ title, state, hint }) =>
    state === 'holds' || hint === undefined ? [] : bullet(terminal, terminal.bang, `${title}: ${hint}`),
  );
  return [
    '',
    terminal.paint('bold', 'Protections of its processes'),
    ...renderTable(terminal, columns, rows).map((line) => `  ${line}`),
    ...hints,
  ];
}

function plural(count: number, word: string): string {
  return `${String(count)} ${word}${count === 1 ? '' : 's'}`;
}
