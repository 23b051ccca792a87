// A network map as one HTML file: the picture, and below it the same as a table, for whoever reads rather than looks. Nothing in it is loaded
// from anywhere, and nothing may be: a policy in its head forbids it.
import type { ShownMap } from '@ringwall/api/networks';
import { drawMap, escaped } from './draw-map.ts';

const STYLE = `
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5d6878;--paper:#f7f8fa;--edge:#d5dae1}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#9aa6b6;--paper:#12161c;--edge:#333c49}}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 ui-sans-serif,system-ui,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
header,section{padding:24px 32px}h1{font-size:24px;margin:0}header p{color:var(--soft);margin:4px 0 0}
.picture{overflow:auto;padding:0}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:8px 16px 8px 0;border-bottom:1px solid var(--edge)}th{color:var(--soft);font-weight:500}
code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}`;

export function renderMapPage(map: ShownMap, at: Date): string {
  const { network, nodes, edges } = map;
  const machines = new Set(nodes.flatMap((node) => node.machines)).size;
  const name = (index: number): string => escaped(nodes[index]?.name ?? '');
  const rows = edges.map(
    ({ from, to, services, rules }) =>
      `<tr><td>${name(from)}</td><td>${name(to)}</td><td><code>${escaped(services.join(', '))}</code></td><td>${escaped(rules.join(', '))}</td></tr>`,
  );
  const title = `${escaped(network)}: who can reach whom`;
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${title}</title><style>${STYLE}</style></head><body>`,
    `<header><h1>${title}</h1><p>${String(machines)} machines, ${String(edges.length)} ways; as the rules are at ${at.toISOString().slice(0, 19)}Z. What is not drawn does not happen.</p></header>`,
    `<div class="picture">`,
    drawMap(map),
    '</div>',
    rows.length === 0
      ? '<section>No rule opens anything.</section>'
      : `<section><table><thead><tr><th>from</th><th>to</th><th>services</th><th>by the rules</th></tr></thead><tbody>${rows.join('\n')}</tbody></table></section>`,
    '</body></html>',
    '',
  ].join('\n');
}
