// The frame of every page that is made here: it needs nothing, runs nothing, and its policy lets a browser load nothing at all, so that
// what an image holds could do no harm even where an escape were forgotten.
import { escapeMarkup } from './markup.ts';

const STYLE = `:root{color-scheme:light dark;--ink:#1c2024;--dim:#60646c;--line:#d9d9e0;--card:#f6f6f8;--critical:#b3123b;--high:#c2410c;--medium:#9a6700;--low:#3e63dd;--info:#60646c}
@media(prefers-color-scheme:dark){:root{--ink:#edeef0;--dim:#b0b4ba;--line:#363a3f;--card:#18191b;--critical:#ff6b8b;--high:#ff9d5c;--medium:#f5c542;--low:#9eb1ff;--info:#b0b4ba}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);max-width:60rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}code{font:.9em ui-monospace,monospace;background:var(--card);padding:.1em .3em;border-radius:4px}
.dim{color:var(--dim)}ul{list-style:none;padding:0}li.finding{border-left:4px solid var(--line);background:var(--card);padding:.6rem .9rem;margin:.5rem 0;border-radius:4px}
.critical{border-color:var(--critical)!important}.high{border-color:var(--high)!important}.medium{border-color:var(--medium)!important}.low{border-color:var(--low)!important}
b.critical{color:var(--critical)}b.high{color:var(--high)}b.medium{color:var(--medium)}b.low{color:var(--low)}b.info{color:var(--info)}
.tree li{margin:.25rem 0;padding-left:1.2rem;border-left:2px solid var(--line)}table{border-collapse:collapse}td,th{text-align:left;padding:.2rem 1rem .2rem 0}`;

/** What the policy of a page must name by its digest. */
export function reportStyle(): string {
  return STYLE;
}

/** `styleDigest`: of `reportStyle()`, `sha256-…` in base64, as CSP 3 names what may apply. `parts` are markup, '' for none. */
export function renderPage(title: string, styleDigest: string, parts: readonly string[]): string {
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '${styleDigest}'; base-uri 'none'; form-action 'none'">`,
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    '<meta name="referrer" content="no-referrer">',
    `<title>${escapeMarkup(title)}</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    ...parts.filter((part) => part !== ''),
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

/** '' where there is nothing inside. */
export function section(title: string, inside: string): string {
  return inside === '' ? '' : `<h2>${title}</h2>${inside}`;
}

/** '' where there are no items, which are markup. */
export function list(items: readonly string[]): string {
  return items.length === 0 ? '' : `<ul>${items.map((each) => `<li>${each}</li>`).join('\n')}</ul>`;
}
