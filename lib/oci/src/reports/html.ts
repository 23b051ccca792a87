// A report as one page that needs nothing: no script, no font, no other file.
import { FINDING_SEVERITIES } from '../inspection/finding.ts';
import { escapeMarkup } from './markup.ts';
import { list, renderPage, section } from './page.ts';
import type { ReportedFinding, ScanReport } from './scan-report.ts';

/** Beyond it a browser takes seconds; the JSON has all. */
const MAX_SHOWN_FINDINGS = 5000;

/** `styleDigest`: of `reportStyle()`, `sha256-…` in base64, as CSP 3 names what may apply. */
export function renderHtml(report: ScanReport, styleDigest: string): string {
  const { subject, digest, platform, scannedAt, findings, signed } = report;
  const shown = findings.slice(0, MAX_SHOWN_FINDINGS);
  return renderPage(`${subject}: what is in it`, styleDigest, [
    `<h1>${escapeMarkup(subject)}</h1>`,
    `<p class="dim">${[digest, platform, scannedAt]
      .filter((part) => part !== '')
      .map(escapeMarkup)
      .join(' · ')}</p>`,
    signed === '' ? '' : `<p>${escapeMarkup(signed)}</p>`,
    summary(findings),
    section('The smallest changes', remedies(report)),
    section('Where it comes from', tree(report)),
    ...groups(shown, report),
    shown.length < findings.length
      ? `<p>… and ${String(findings.length - shown.length)} more, which the JSON report lists.</p>`
      : '',
    section('Ignored', ignored(report)),
    section('To know', list(report.notes.map(escapeMarkup))),
  ]);
}

function summary(findings: readonly ReportedFinding[]): string {
  if (findings.length === 0) return '<p>Nothing to say about it.</p>';
  const counts = FINDING_SEVERITIES.flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return count === 0 ? [] : [`<b class="${severity}">${String(count)} ${severity}</b>`];
  });
  return `<p>${counts.join(' · ')}</p>`;
}

function remedies({ remedies: all }: ScanReport): string {
  return list(
    all
      .slice(0, 10)
      .map(({ change, findings }) => `${escapeMarkup(change)} <span class="dim">(${String(findings)})</span>`),
  );
}

/** Ancestors within each other, the image itself the innermost. */
function tree({ ancestry: { ancestors }, subject, findings }: ScanReport): string {
  if (ancestors.length === 0) return '';
  const counted = (name: string): string =>
    `<span class="dim">${String(findings.filter(({ inheritedFrom }) => inheritedFrom === name).length)} findings</span>`;
  const inner = `<ul class="tree"><li><b>${escapeMarkup(subject)}</b> ${counted('')}</li></ul>`;
  return ancestors.toReversed().reduce((inside, { name, basis, layers }) => {
    const word = basis === 'layers' ? '' : ' <i>(a guess)</i>';
    return `<ul class="tree"><li>${escapeMarkup(name)}${word} · ${String(layers)} layers · ${counted(name)}${inside}</li></ul>`;
  }, inner);
}

function groups(findings: readonly ReportedFinding[], { layers }: ScanReport): string[] {
  const byLayer = Map.groupBy(findings, ({ layer }) => layer ?? -1);
  return [...byLayer]
    .toSorted(([one], [other]) => one - other)
    .map(([layer, all]) => {
      const { instruction = '', inheritedFrom = '' } = layers[layer] ?? {};
      const written = instruction === '' ? '' : `<p><code>${escapeMarkup(instruction.slice(0, 500))}</code></p>`;
      const from = inheritedFrom === '' ? '' : `<p class="dim">inherited from ${escapeMarkup(inheritedFrom)}</p>`;
      const title = layer < 0 ? 'Configuration' : `Layer ${String(layer + 1)} of ${String(layers.length)}`;
      return `<h2>${title}</h2>${written}${from}<ul>${all.map((finding) => item(finding)).join('\n')}</ul>`;
    });
}

function item({ severity, rule, message, fix, path, hiddenBy, references }: ReportedFinding): string {
  const lines = [
    `<b class="${severity}">${severity}</b> ${escapeMarkup(message)}`,
    path === '' ? '' : `<code>/${escapeMarkup(path)}</code>`,
    hiddenBy === undefined
      ? ''
      : `<span class="dim">deleted or replaced by layer ${String(hiddenBy + 1)}, and still in the image</span>`,
    fix === '' ? '' : `→ ${escapeMarkup(fix)}`,
    `<span class="dim">${[rule, ...references].map(escapeMarkup).join(' · ')}</span>`,
  ];
  return `<li class="finding ${severity}">${lines.filter((line) => line !== '').join('<br>')}</li>`;
}

function ignored({ ignored: all, expired, unused }: ScanReport): string {
  return list([
    ...all.map(
      ({ finding, entry }) =>
        `${escapeMarkup(finding.id)}: ${escapeMarkup(entry.reason)} <span class="dim">until ${entry.until}</span>`,
    ),
    ...expired.map(({ rule, path, until }) => `expired on ${until}: ${escapeMarkup(`${rule} ${path}`)}`),
    ...unused.map(({ rule, path }) => `of no finding any more: ${escapeMarkup(`${rule} ${path}`)}`),
  ]);
}
