// How an error looks to a person: what went wrong, then what to do, a line each, wrapped; never a stack.
import { plainText, wrapText, type Terminal } from './terminal.ts';

export interface Trouble {
  /** Further lines are details and come indented already. */
  readonly message: string;
  /** A line for each thing to do. */
  readonly hint?: string | undefined;
}

export function printTrouble(err: Terminal, { message, hint }: Trouble): void {
  const [first = '', ...details] = plainText(message).split('\n');
  err.line(`${err.paint('red', 'error:')} ${first}`);
  for (const detail of details) err.line(detail);
  if (hint === undefined) return;
  for (const advice of plainText(hint).split('\n')) {
    for (const line of wrapText(advice, err.textColumns, 2)) err.line(line);
  }
}
