// The lines of a Dockerfile as its parser sees them: parser directives, continuations joined, comments between them left
// out, each character with the place that it came from. Dockerfile reference, "Format" and "Parser directives".
import { OciError } from '../oci-error.ts';

/** The longest that people keep by hand have some 100 kB; generated ones some more. Bounds all work of this folder. */
export const MAX_DOCKERFILE_CHARACTERS: number = 512 * 1024;

/** Counted from 1, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Joined text that knows where each of its characters stood. */
export interface PlacedText {
  readonly text: string;
  readonly positionAt: (offset: number) => Position;
}

export interface Directives {
  /** `# syntax=docker/dockerfile:1` */
  readonly syntax: string | undefined;
  /** `# check=skip=…;error=true` */
  readonly check: string | undefined;
  readonly escape: '\\' | '`';
}

export interface Comment {
  readonly text: string;
  readonly line: number;
}

/** Reads logical lines one after the other; a heredoc takes physical ones in between. */
export interface LineReader {
  readonly directives: Directives;
  readonly comments: readonly Comment[];
  /** The next that holds anything. */
  readonly nextLogical: () => PlacedText | undefined;
  readonly nextPhysical: () => { readonly text: string; readonly line: number } | undefined;
}

/** Throws OciError `limit`. */
export function readLines(source: string): LineReader {
  if (source.length > MAX_DOCKERFILE_CHARACTERS) {
    throw new OciError('limit', `Dockerfile has ${source.length} characters, at most ${MAX_DOCKERFILE_CHARACTERS}`);
  }
  const lines = source
    .replace(/^\ufeff/, '')
    .split('\n')
    .map((line) => line.replace(/\r$/, ''));
  const directives = readDirectives(lines);
  const comments: Comment[] = [];
  let at = 0;

  const skip = (): void => {
    for (; at < lines.length; at += 1) {
      const text = (lines[at] ?? '').trim();
      if (text.startsWith('#')) comments.push({ text: text.slice(1).trim(), line: at + 1 });
      else if (text !== '') return;
    }
  };
  const nextLogical = (): PlacedText | undefined => {
    skip();
    if (at >= lines.length) return undefined;
    const pieces: Piece[] = [];
    let offset = 0;
    for (; at < lines.length; skip()) {
      const line = lines[at] ?? '';
      at += 1;
      const column = pieces.length === 0 ? line.length - line.trimStart().length : 0;
      const end = endOfContinued(line, directives.escape);
      const text = line.slice(column, end ?? line.length);
      pieces.push({ offset, line: at, column: column + 1, text });
      offset += text.length;
      if (end === undefined) break;
    }
    return { text: pieces.map((piece) => piece.text).join(''), positionAt: (where) => positionIn(pieces, where) };
  };
  const nextPhysical = (): { text: string; line: number } | undefined => {
    if (at >= lines.length) return undefined;
    at += 1;
    return { text: lines[at - 1] ?? '', line: at };
  };
  return { directives, comments, nextLogical, nextPhysical };
}

/** A part of placed text, with the same places. */
export function sliceOf(source: PlacedText, start: number, end: number = source.text.length): PlacedText {
  return { text: source.text.slice(start, end), positionAt: (offset) => source.positionAt(start + offset) };
}

interface Piece {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

function positionIn(pieces: readonly Piece[], where: number): Position {
  let [low, high] = [0, pieces.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((pieces[middle]?.offset ?? 0) <= where) low = middle;
    else high = middle - 1;
  }
  const piece = pieces[low];
  return piece === undefined
    ? { line: 1, column: 1 }
    : { line: piece.line, column: piece.column + where - piece.offset };
}

/** Where the escape character stands that continues the line; blanks may follow it, another one before it undoes it. */
function endOfContinued(line: string, escape: string): number | undefined {
  const text = line.trimEnd();
  if (!text.endsWith(escape) || text.endsWith(escape + escape)) return undefined;
  return text.length - 1;
}

/** Only before everything else; each once; the first comment that is none ends them. */
function readDirectives(lines: readonly string[]): Directives {
  const found = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = /^\s*#\s*([A-Za-z]+)\s*=(.*)$/.exec(line) ?? [];
    const key = name.toLowerCase();
    if (!['syntax', 'escape', 'check'].includes(key) || found.has(key)) break;
    found.set(key, value.trim());
  }
  return { syntax: found.get('syntax'), check: found.get('check'), escape: found.get('escape') === '`' ? '`' : '\\' };
}
