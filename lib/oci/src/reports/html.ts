// A report as one page that needs nothing: no script, no font, no other file. Its policy lets a browser load and run nothing at
// all, so that what an image holds could do no harm even where an escape were forgotten.
import { FINDING_SEVERITIES } from '../inspection/finding.ts';
import { escapeMarkup } from './markup.ts';
import type { ReportedFinding, ScanReport } from './scan-report.ts';

/** Beyond it a browser takes seconds; the JSON has all. */
const MAX_SHOWN_FINDINGS = 5000;

const STYLE = `:root{color-scheme:light dark;--ink:#1c2024;--dim:#60646c;--line:#d9d9e0;--card:#f6f6f8;--critical:#b3123b;--high:#c2410c;--medium:#9a6700;--low:#3e63dd;--info:#60646c}
@media(prefers-color-scheme:dark){:root{--ink:#edeef0;--dim:#b0b4ba;--line:#363a3f;--card:#18191b;--critical:#ff6b8b;--high:#ff9d5c;--medium:#f5c542;--low:#9eb1ff;--info:#b0b4ba}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);max-width:60rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}code{font:.9em ui-monospace,monospace;background:var(--card);padding:.1em .3em;border-radius:4px}
.dim{color:var(--dim)}ul{list-style:none;padding:0}li.finding{border-left:4px solid var(--line);background:var(--card);padding:.6rem .9rem;margin:.5rem 0;border-radius:4px}
.critical{border-color:var(--critical)!important}.high{border-color:var(--high)!important}.medium{border-color:var(--medium)!important}.low{border-color:var(--low)!important}
b.critical{color:var(--critical)}b.high{color:var(--high)}b.medium{color:var(--medium)}b.low{color:var(--low)}b.info{color:var(--info)}
.tree li{margin:.25rem 0;padding-left:1.2rem;border-left:2px solid var(--line)}table{border-collapse:collapse}td,th{text-align:left;padding:.2rem 1rem .2rem 0}`;

/** `styleDigest`: of `reportStyle()`, `sha256-…` in base64, as CSP 3 names what may apply. */
export function renderHtml(report: ScanReport, styleDigest: string): string {
  const { subject, digest, platform, scannedAt, findings } = report;
  const shown = findings.slice(0, MAX_SHOWN_FINDINGS);
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '${styleDigest}'; base-uri 'none'; form-action 'none'">`,
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    '<meta name="referrer" content="no-referrer">',
    `<title>${escapeMarkup(subject)}: what is in it</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    `<h1>${escapeMarkup(subject)}</h1>`,
    `<p class="dim">${[digest, platform, scannedAt]
      .filter((part) => part !== '')
      .map(escapeMarkup)
      .join(' · ')}</p>`,
    summary(findings),
    section('The smallest changes', remedies(report)),
    section('Where it comes from', tree(report)),
    ...groups(shown, report),
    shown.length < findings.length
      ? `<p>… and ${String(findings.length - shown.length)} more, which the JSON report lists.</p>`
      : '',
    section('Ignored', ignored(report)),
    section('To know', list(report.notes.map(escapeMarkup))),
    '</body>',
    '</html>',
    '',
  ]
    .filter((part) => part !== '')
    .join('\n');
}

/** What the policy of the page must name by its digest. */
export function reportStyle(): string {
  return STYLE;
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

function section(title: string, inside: string): string {
  return inside === '' ? '' : `<h2>${title}</h2>${inside}`;
}

function list(items: readonly string[]): string {
  return items.length === 0 ? '' : `<ul>${items.map((each) => `<li>${each}</li>`).join('\n')}</ul>`;
}
