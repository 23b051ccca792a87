// The tree of all images of a registry as one page that needs nothing, and the few ancestors whose update takes the most away.
import { shareOf, type AncestorUpdate, type ImageTree, type TreeNode } from '../inheritance/image-tree.ts';
import { escapeMarkup } from './markup.ts';
import { list, renderPage, section } from './page.ts';

const MAX_UPDATES = 20;

export interface SurveyFailure {
  readonly name: string;
  readonly reason: string;
}

/** `styleDigest`: of `reportStyle()`. */
export function renderTreeHtml(
  subject: string,
  tree: ImageTree,
  failures: readonly SurveyFailure[],
  styleDigest: string,
): string {
  const { images, findings, roots } = tree;
  return renderPage(`${subject}: its images`, styleDigest, [
    `<h1>${escapeMarkup(subject)}</h1>`,
    `<p>${counted(images, 'image')} · ${counted(findings, 'finding')}</p>`,
    section('Update these first', updates(tree)),
    section('What is built on what', roots.map(branch).join('\n')),
    section(
      'Not judged',
      list(failures.map(({ name, reason }) => `<b>${escapeMarkup(name)}</b> ${escapeMarkup(reason)}`)),
    ),
  ]);
}

function updates(tree: ImageTree): string {
  const shown = tree.updates.slice(0, MAX_UPDATES);
  if (shown.length === 0) return '';
  const share = Math.round(shareOf(tree, shown.length) * 100);
  const rows = shown.map((update) => {
    const { images, brings, severe, vulnerabilities, update: newer } = update;
    const change =
      newer === undefined ? 'no newer one is here' : `${escapeMarkup(newer.name)} removes ${newer.removes}`;
    return `<tr><td>${label(update)}</td><td>${images}</td><td>${brings}</td><td>${severe}</td><td>${vulnerabilities}</td><td>${change}</td></tr>`;
  });
  const head =
    '<tr><th>Ancestor</th><th>Images</th><th>Brings</th><th>Critical, high</th><th>Known vulnerabilities</th><th>Update</th></tr>';
  return `<table>${head}${rows.join('\n')}</table><p class="dim">Together at most ${share} % of what is found.</p>`;
}

function branch({ names: [name = '', ...others], guess, layers, below, brings, children }: TreeNode): string {
  const more = others.length === 0 ? '' : ` <span class="dim">also ${others.map(escapeMarkup).join(', ')}</span>`;
  const detail = [
    counted(layers, 'layer'),
    ...(below === 0 ? [] : [`${counted(below, 'image')} on it`]),
    ...(brings === 0 ? [] : [`brings them ${counted(brings, 'finding')}`]),
  ].join(' · ');
  const inside = children.map(branch).join('');
  return `<ul class="tree"><li>${label({ name, guess })}${more} <span class="dim">${detail}</span>${inside}</li></ul>`;
}

function label({ name, guess }: Pick<AncestorUpdate, 'name' | 'guess'>): string {
  if (name !== '') return `<b>${escapeMarkup(name)}</b>`;
  return guess === '' ? '<i>a base without a name</i>' : `<i>${escapeMarkup(guess)} (a guess)</i>`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
