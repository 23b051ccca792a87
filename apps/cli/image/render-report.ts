// What a scan says, for a person: layer by layer, with the instruction that wrote it, and the smallest changes at the end, where
// the eye is.
import { FINDING_SEVERITIES, type FindingSeverity, type ReportedFinding, type ScanReport } from '@ringwall/oci';
import { plainText, wrapText, type Style, type Terminal } from '../terminal.ts';

/** Of one rule in one layer; --all shows the others. */
const MAX_OF_A_RULE = 5;
const MAX_REMEDIES = 5;
const MAX_INSTRUCTION_CHARACTERS = 200;

const STYLES: Readonly<Record<FindingSeverity, Style>> = {
  critical: 'red',
  high: 'red',
  medium: 'yellow',
  low: 'blue',
  info: 'dim',
};

export function renderReport(report: ScanReport, out: Terminal, all: boolean): string[] {
  const { subject, platform, findings, layers, signed } = report;
  const title = [plainText(subject), platform, counted(layers.length, 'layer')];
  return [
    out.paint('bold', title.filter((part) => part !== '').join(' · ')),
    ...(signed === '' ? [] : bulleted(`  ${out.tick}`, plainText(signed), out)),
    ...tree(report, out),
    '',
    ...groups(report, out, all),
    ...ignored(report, out),
    ...report.notes.flatMap((note) => bulleted(out.bang, plainText(note), out)),
    ...remedies(report, out),
    findings.length === 0 ? `${out.tick} nothing to say about it` : counts(findings, out),
  ];
}

/** Ancestors above, the image below them, as Dockerfiles stand upon each other. */
function tree({ ancestry, subject, findings }: ScanReport, out: Terminal): string[] {
  if (ancestry.ancestors.length === 0) return [];
  const count = (name: string): string =>
    counted(findings.filter(({ inheritedFrom }) => inheritedFrom === name).length, 'finding');
  const nodes = [
    ...ancestry.ancestors.map(({ name, basis, layers }) => ({
      label: `${plainText(name)}${basis === 'layers' ? '' : ' (a guess)'}`,
      detail: `${counted(layers, 'layer')}, ${count(name)}`,
    })),
    { label: plainText(subject), detail: count('') },
  ];
  return nodes.map(({ label, detail }, depth) => {
    const branch = depth === 0 ? '' : `${'   '.repeat(depth - 1)}${out.sign('└─ ', '`- ')}`;
    return `  ${branch}${label} ${out.paint('dim', detail)}`;
  });
}

function groups({ findings, layers }: ScanReport, out: Terminal, all: boolean): string[] {
  const byLayer = Map.groupBy(findings, ({ layer }) => layer ?? -1);
  return [...byLayer]
    .toSorted(([one], [other]) => one - other)
    .flatMap(([layer, found]) => {
      const { instruction = '', inheritedFrom = '' } = layers[layer] ?? {};
      const from = inheritedFrom === '' ? '' : `, inherited from ${plainText(inheritedFrom)}`;
      const title = layer < 0 ? 'Configuration' : `Layer ${String(layer + 1)}${from}`;
      const written = plainText(instruction).replaceAll(/\s+/g, ' ').slice(0, MAX_INSTRUCTION_CHARACTERS);
      return [
        out.paint('bold', title),
        ...(written === '' ? [] : wrapText(written, out.textColumns, 2).map((line) => out.paint('dim', line))),
        ...shorten(found, out, all),
        '',
      ];
    });
}

/** The worst first, and no rule crowds out the others. */
function shorten(findings: readonly ReportedFinding[], out: Terminal, all: boolean): string[] {
  return [...Map.groupBy(findings, ({ rule }) => rule)].flatMap(([rule, found]) => {
    const shown = all ? found : found.slice(0, MAX_OF_A_RULE);
    const more = found.length - shown.length;
    return [
      ...shown.flatMap((finding) => renderFinding(finding, out)),
      ...(more === 0 ? [] : [`  ${out.ellipsis} and ${String(more)} more of ${rule} (--all)`]),
    ];
  });
}

function renderFinding({ severity, rule, message, fix, path, hiddenBy }: ReportedFinding, out: Terminal): string[] {
  const place = path === '' ? '' : ` /${plainText(path)}`;
  const hidden = hiddenBy === undefined ? '' : `, deleted by layer ${String(hiddenBy + 1)} and still in the image`;
  return [
    `  ${out.paint(STYLES[severity], severity)} ${out.paint('bold', rule)}${place}`,
    ...wrapText(`${plainText(message)}${hidden}`, out.textColumns, 4),
    ...(fix === '' ? [] : wrapText(plainText(fix), out.textColumns, 4).map((line) => out.paint('cyan', line))),
  ];
}

function ignored({ ignored: answered, expired, unused }: ScanReport, out: Terminal): string[] {
  const where = ({ rule, path }: { rule: string; path: string }): string =>
    plainText(path === '' ? rule : `${rule} /${path}`);
  return [
    ...(answered.length === 0 ? [] : [`${String(answered.length)} ignored, as the ignore list says`]),
    ...expired.map((entry) => `${out.bang} the ignore list's ${where(entry)} ended on ${entry.until}`),
    ...unused.map((entry) => `${out.bang} the ignore list's ${where(entry)} is of no finding any more`),
  ];
}

function remedies({ remedies: changes }: ScanReport, out: Terminal): string[] {
  const shown = changes.slice(0, MAX_REMEDIES);
  if (shown.length === 0) return [];
  return [
    out.paint('bold', 'The smallest changes'),
    ...shown.flatMap(({ change, findings }) => bulleted(`  ${String(findings).padStart(3)}`, plainText(change), out)),
    '',
  ];
}

function bulleted(sign: string, text: string, out: Terminal): string[] {
  const [first = '', ...rest] = wrapText(text, out.textColumns, 6);
  return [`${sign} ${first.trim()}`, ...rest];
}

function counts(findings: readonly ReportedFinding[], out: Terminal): string {
  return FINDING_SEVERITIES.flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return count === 0 ? [] : [out.paint(STYLES[severity], `${String(count)} ${severity}`)];
  }).join(', ');
}

function counted(count: number, what: string): string {
  return `${String(count)} ${what}${count === 1 ? '' : 's'}`;
}
