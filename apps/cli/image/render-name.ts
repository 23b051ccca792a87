// What was judged about a name, for a person.
import type { NameVerdict } from '@ringwall/oci';
import { plainText, wrapText, type Terminal } from '../terminal.ts';

export function renderName(name: string, { verdict, reason }: NameVerdict, out: Terminal): string[] {
  const sign = verdict === 'allow' ? out.tick : verdict === 'ask' ? out.bang : out.cross;
  return [
    `  ${sign} ${out.paint('bold', plainText(name))}: ${verdict}`,
    ...wrapText(plainText(reason), out.textColumns, 4),
  ];
}
