// How an error looks to a person: what went wrong, then what to do, a line each, wrapped; never a stack.
import { COMMANDS } from './commands.ts';
import { plainText, wrapText, type Terminal } from './terminal.ts';

export interface Trouble {
  /** Further lines are details and come indented already. */
  readonly message: string;
  /** A line for each thing to do. */
  readonly hint?: string | undefined;
}

const LABEL = 'error: ';

export function printTrouble(err: Terminal, self: string, { message, hint }: Trouble): void {
  const [first = '', ...details] = plainText(message).split('\n');
  const [opening = '', ...more] = wrapped(err, first, LABEL.length);
  err.line(`${err.paint('red', LABEL.trim())} ${opening.trimStart()}`);
  for (const line of [...more, ...details]) err.line(line);
  if (hint === undefined) return;
  for (const advice of asTyped(plainText(hint), self).split('\n')) {
    for (const line of wrapped(err, advice, 2)) err.line(line);
  }
}

/** The services write `ringwall show x` and cannot know how this user calls us. */
export function asTyped(text: string, self: string): string {
  const names = COMMANDS.map(({ name }) => name).join('|');
  return text.replaceAll(new RegExp(`(?<![\\w./-])ringwall (?=(?:${names})\\b)`, 'g'), `${self} `);
}

/** A pipe gets whole lines: somebody may look for one with grep. */
function wrapped(err: Terminal, text: string, indent: number): string[] {
  return err.live ? wrapText(text, err.textColumns, indent) : [`${' '.repeat(indent)}${text}`];
}
