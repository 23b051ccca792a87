// Aligned columns for people: as wide as their content, the last ones cut where the terminal ends.
import type { Style, Terminal } from './terminal.ts';

export interface Cell {
  readonly text: string;
  readonly style?: Style;
}

export interface Column {
  readonly title: string;
  readonly align?: 'right';
  /** May be cut to make room for the others. */
  readonly elastic?: true;
}

const GAP = 2;
/** A cut column keeps at least this much, or it says nothing. */
const ELASTIC_MIN = 8;

export function renderTable(
  terminal: Terminal,
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
): string[] {
  const widths = fitWidths(terminal, columns, rows);
  const header = columns.map(({ title }): Cell => ({ text: title, style: 'dim' }));
  return [header, ...rows].map((row) =>
    columns
      .map((column, index) => {
        const cell = row[index] ?? { text: '' };
        const width = widths[index] ?? 0;
        const text = cut(terminal, cell.text, width);
        const padding = ' '.repeat(width - text.length);
        const painted = terminal.paint(cell.style, text);
        if (column.align === 'right') return `${padding}${painted}`;
        return index === columns.length - 1 ? painted : `${painted}${padding}`;
      })
      .join(' '.repeat(GAP))
      .trimEnd(),
  );
}

function fitWidths(terminal: Terminal, columns: readonly Column[], rows: readonly (readonly Cell[])[]): number[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.text.length ?? 0)),
  );
  let excess = widths.reduce((sum, width) => sum + width + GAP, -GAP) - terminal.columns;
  // A pipe has no edge: cutting there would lose what the next program wants.
  if (!terminal.live) return widths;
  for (const [index, column] of [...columns.entries()].toReversed()) {
    if (excess <= 0) break;
    if (column.elastic !== true) continue;
    const width = widths[index] ?? 0;
    const taken = Math.min(excess, Math.max(0, width - ELASTIC_MIN));
    widths[index] = width - taken;
    excess -= taken;
  }
  return widths;
}

function cut(terminal: Terminal, text: string, width: number): string {
  if (text.length <= width) return text;
  const { ellipsis } = terminal;
  return `${text.slice(0, Math.max(0, width - ellipsis.length))}${ellipsis}`.slice(0, width);
}
