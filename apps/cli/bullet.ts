// An item of a list in a report.
import { plainText, wrapText, type Terminal } from './terminal.ts';

/** One sign, and a sentence wrapped beside it. */
export function bullet(terminal: Terminal, sign: string, sentence: string): string[] {
  const [first = '', ...rest] = wrapText(plainText(sentence), terminal.textColumns, 4);
  return [`  ${sign} ${first.trimStart()}`, ...rest];
}
