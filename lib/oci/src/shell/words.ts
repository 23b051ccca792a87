// Words of the shell: quotes, escapes, parameters, substitutions. POSIX.1-2024 Shell Command Language, sections 2.2, 2.6.
import { OciError } from '../oci-error.ts';
import type { ShellList, ShellWord } from './nodes.ts';

export interface WordReader {
  readonly source: string;
  /** Of the source in the outermost script. */
  readonly base: number;
  /** Of a substitution. */
  readonly parse: (script: string, offset: number) => ShellList;
}

interface Building {
  value: string;
  fixed: boolean;
  readonly substitutions: ShellList[];
}

/** Looked through at each `$((`, so that many of them without end stay cheap. */
const MAX_ARITHMETIC_CHARACTERS = 1024;
const ENDS_A_WORD = ' \t\r\n;&|()<>';

/** The word that begins at `start`. Throws OciError `malformed` and `limit`. */
export function readWord(reader: WordReader, start: number): { word: ShellWord; end: number } {
  const { source, base } = reader;
  const building: Building = { value: '', fixed: true, substitutions: [] };
  let at = start;
  while (at < source.length) {
    const character = source[at] ?? '';
    if (character === "'") {
      const close = closing(reader, "'", at + 1);
      building.value += source.slice(at + 1, close);
      at = close + 1;
    } else if (character === '"') {
      at = readDoubleQuoted(reader, at + 1, building);
    } else if (character === '\\') {
      // A backslash before a newline joins the lines.
      if (source[at + 1] !== '\n') building.value += source[at + 1] ?? '\\';
      at += 2;
    } else if (character === '$' || character === '`') {
      at = readExpansion(reader, at, building, true);
    } else if ((character === '<' || character === '>') && source[at + 1] === '(') {
      at = readSubstitution(reader, at, at + 2, building);
    } else if (ENDS_A_WORD.includes(character)) {
      break;
    } else {
      building.value += character;
      at += 1;
    }
  }
  const end = Math.min(at, source.length);
  return { word: { text: source.slice(start, end), offset: base + start, ...building }, end };
}

function readDoubleQuoted(reader: WordReader, start: number, building: Building): number {
  const { source } = reader;
  let at = start;
  while (at < source.length) {
    const character = source[at] ?? '';
    if (character === '"') return at + 1;
    if (character === '\\') {
      const next = source[at + 1] ?? '';
      if (next !== '\n') building.value += ('$`"\\'.includes(next) ? '' : '\\') + next;
      at += 2;
    } else if (character === '$' || character === '`') {
      at = readExpansion(reader, at, building, false);
    } else {
      building.value += character;
      at += 1;
    }
  }
  throw new OciError('malformed', `shell script, character ${reader.base + start - 1}: a quote has no end`);
}

function readExpansion(reader: WordReader, at: number, building: Building, bare: boolean): number {
  const { source, base } = reader;
  if (source[at] === '`') {
    const close = closingBackquote(reader, at + 1);
    building.substitutions.push(
      reader.parse(source.slice(at + 1, close).replaceAll(/\\([`$\\])/g, '$1'), base + at + 1),
    );
    return keep(source, at, close + 1, building);
  }
  const next = source[at + 1] ?? '';
  if (next === '(' && source[at + 2] === '(') {
    const end = endOfArithmetic(source, at + 3);
    if (end !== undefined) return keep(source, at, end, building);
  }
  if (next === '(') return readSubstitution(reader, at, at + 2, building);
  if (next === '{') return keep(source, at, closingBrace(reader, at + 2), building);
  if (next === "'" && bare) {
    const close = closing(reader, "'", at + 2);
    building.value += source.slice(at + 2, close);
    return close + 1;
  }
  const [name = ''] = /^(?:[A-Za-z_]\w*|[0-9@*#?$!-])/.exec(source.slice(at + 1, at + 256)) ?? [];
  if (name !== '') return keep(source, at, at + 1 + name.length, building);
  building.value += '$';
  return at + 1;
}

/** Undefined where `$((` begins a subshell within a substitution. */
function endOfArithmetic(source: string, start: number): number | undefined {
  let depth = 2;
  for (let at = start; at < Math.min(source.length, start + MAX_ARITHMETIC_CHARACTERS); at += 1) {
    if (source[at] === '(') depth += 1;
    if (source[at] === ')') depth -= 1;
    if (depth === 0) return source[at - 1] === ')' ? at + 1 : undefined;
  }
  return undefined;
}

function readSubstitution(reader: WordReader, at: number, start: number, building: Building): number {
  const close = closingParenthesis(reader, start);
  building.substitutions.push(reader.parse(reader.source.slice(start, close), reader.base + start));
  return keep(reader.source, at, close + 1, building);
}

function keep(source: string, start: number, end: number, building: Building): number {
  building.value += source.slice(start, end);
  building.fixed = false;
  return end;
}

function closing(reader: WordReader, quote: string, start: number): number {
  const close = reader.source.indexOf(quote, start);
  if (close < 0)
    throw new OciError('malformed', `shell script, character ${reader.base + start - 1}: a quote has no end`);
  return close;
}

function closingBackquote(reader: WordReader, start: number): number {
  for (let at = start; at < reader.source.length; at += 1) {
    if (reader.source[at] === '\\') at += 1;
    else if (reader.source[at] === '`') return at;
  }
  throw new OciError('malformed', `shell script, character ${reader.base + start - 1}: a backquote has no end`);
}

function closingBrace(reader: WordReader, start: number): number {
  let depth = 1;
  for (let at = start; at < reader.source.length; at += 1) {
    const character = reader.source[at] ?? '';
    if (character === '\\') at += 1;
    else if (character === '{' && reader.source[at - 1] === '$') depth += 1;
    else if (character === '}') {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  throw new OciError('malformed', `shell script, character ${reader.base + start - 2}: “\${” has no end`);
}

/** Quotes hide parentheses; a `case` inside has more that close than open, and is not followed. */
function closingParenthesis(reader: WordReader, start: number): number {
  const { source } = reader;
  let depth = 1;
  let quote = '';
  for (let at = start; at < source.length; at += 1) {
    const character = source[at] ?? '';
    if (character === '\\' && quote !== "'") at += 1;
    else if (quote !== '') {
      if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '#' && /[\s(;]/.test(source[at - 1] ?? ' ')) {
      const newline = source.indexOf('\n', at);
      at = newline < 0 ? source.length : newline;
    } else if (character === '(') depth += 1;
    else if (character === ')') {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  throw new OciError('malformed', `shell script, character ${reader.base + start - 1}: “(” has no end`);
}
