// What a change of rules means, for people: what opens, what closes, and what is odd about it.
import type { Consequences } from '@ringwall/api/networks';
import { bullet } from '../bullet.ts';
import { plainText, type Terminal } from '../terminal.ts';

const SIGNS = { opens: { sign: '+', style: 'green' }, closes: { sign: '-', style: 'red' } } as const;

export function renderConsequences(terminal: Terminal, { changes, more, findings }: Consequences): string[] {
  const arrow = terminal.sign('→', '->');
  const ways = changes.map(({ from, to }) => plainText(`${from} ${arrow} ${to}`));
  const width = Math.max(0, ...ways.map((way) => way.length));
  const lines = changes.map(({ kind, services, rule }, index) => {
    const { sign, style } = SIGNS[kind];
    const by = rule === undefined ? '' : terminal.paint('dim', `  by ${plainText(rule)}`);
    const what = services.map((service) => plainText(service)).join(', ');
    return `  ${terminal.paint(style, `${sign} ${kind.padEnd('closes'.length)}`)}  ${(ways[index] ?? '').padEnd(width)}  ${what}${by}`;
  });
  return [
    ...lines,
    ...(more === 0 ? [] : [`    and ${String(more)} more`]),
    ...findings.flatMap(({ message, idle }) => bullet(terminal, idle ? terminal.cross : terminal.bang, message)),
  ];
}
