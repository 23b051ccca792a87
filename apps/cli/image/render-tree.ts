// The tree of all images, for a person: what to update first stands at the end, where the eye is.
import { shareOf, type AncestorUpdate, type ImageTree, type SurveyFailure, type TreeNode } from '@ringwall/oci';
import { plainText, wrapText, type Terminal } from '../terminal.ts';

/** The most that somebody reads; --all shows the others. */
const MAX_NODES = 100;
const MAX_UPDATES = 5;
const MAX_FAILURES = 5;
const MAX_ALIASES = 3;

export function renderTree(
  subject: string,
  tree: ImageTree,
  failures: readonly SurveyFailure[],
  out: Terminal,
  all: boolean,
): string[] {
  const { images, findings, roots } = tree;
  const lines = roots.flatMap((root) => branch(root, '', '', out));
  const shown = all ? lines : lines.slice(0, MAX_NODES);
  return [
    out.paint('bold', `${plainText(subject)} · ${counted(images, 'image')} · ${counted(findings, 'finding')}`),
    ...shown.map((line) => `  ${line}`),
    ...(shown.length < lines.length
      ? [`  ${out.ellipsis} and ${String(lines.length - shown.length)} more (--all)`]
      : []),
    ...failed(failures, out, all),
    ...updates(tree, out, all),
  ];
}

function branch(node: TreeNode, indent: string, sign: string, out: Terminal): string[] {
  const {
    names: [name = '', ...others],
    guess,
    layers,
    below,
    brings,
    children,
  } = node;
  const aliases = others.slice(0, MAX_ALIASES).map((alias) => plainText(alias));
  const also = others.length > MAX_ALIASES ? [...aliases, out.ellipsis] : aliases;
  const detail = [
    counted(layers, 'layer'),
    ...(below === 0 ? [] : [`${counted(below, 'image')} on it`]),
    ...(brings === 0 ? [] : [`brings them ${counted(brings, 'finding')}`]),
    ...(also.length === 0 ? [] : [`also ${also.join(', ')}`]),
  ];
  const deeper = sign === '' ? indent : `${indent}${sign === out.sign('├─ ', '|- ') ? out.sign('│  ', '|  ') : '   '}`;
  return [
    `${indent}${sign}${label({ name, guess })} ${out.paint('dim', detail.join(', '))}`,
    ...children.flatMap((child, at) =>
      branch(child, deeper, at < children.length - 1 ? out.sign('├─ ', '|- ') : out.sign('└─ ', '`- '), out),
    ),
  ];
}

function failed(failures: readonly SurveyFailure[], out: Terminal, all: boolean): string[] {
  if (failures.length === 0) return [];
  const shown = all ? failures : failures.slice(0, MAX_FAILURES);
  const more = failures.length - shown.length;
  return [
    '',
    out.paint('bold', 'Not judged'),
    ...shown.flatMap(({ name, reason }) => [
      `  ${out.cross} ${plainText(name)}`,
      ...wrapText(plainText(reason), out.textColumns, 4),
    ]),
    ...(more > 0 ? [`  ${out.ellipsis} and ${String(more)} more (--all)`] : []),
  ];
}

function updates(tree: ImageTree, out: Terminal, all: boolean): string[] {
  const shown = all ? tree.updates : tree.updates.slice(0, MAX_UPDATES);
  if (shown.length === 0) return ['', `${out.tick} nothing is inherited`];
  const share = Math.round(shareOf(tree, shown.length) * 100);
  const few = shown.length === 1 ? 'Its update takes' : `The updates of these ${String(shown.length)} take`;
  return [
    '',
    out.paint('bold', 'Update these first'),
    ...shown.flatMap((update) => {
      const { images, brings, severe, vulnerabilities, update: newer } = update;
      const known = vulnerabilities === 0 ? '' : `, ${String(vulnerabilities)} of them known vulnerabilities`;
      const bad = severe === 0 ? '' : `, ${out.paint('red', `${String(severe)} critical or high`)}`;
      return [
        `  ${String(brings).padStart(4)} ${label(update)} ${out.paint('dim', `in ${counted(images, 'image')}${known}`)}${bad}`,
        ...(newer === undefined
          ? []
          : [out.paint('cyan', `       ${plainText(newer.name)} has ${String(newer.removes)} of them no more`)]),
      ];
    }),
    '',
    `${few} away at most ${String(share)} % of what is found.`,
  ];
}

function label({ name, guess }: Pick<AncestorUpdate, 'name' | 'guess'>): string {
  if (name !== '') return plainText(name);
  return guess === '' ? '(a base without a name)' : `(${plainText(guess)}, a guess)`;
}

function counted(count: number, what: string): string {
  return `${String(count)} ${what}${count === 1 ? '' : 's'}`;
}
