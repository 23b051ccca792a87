// One instruction of a Dockerfile: keyword, flags, words, JSON or shell form, heredocs. Dockerfile reference; heredocs as
// BuildKit's `parser` package reads them.
import { OciError } from '../oci-error.ts';
import { sliceOf, type LineReader, type PlacedText, type Position } from './logical-lines.ts';

/** More in one instruction than anybody writes. */
const MAX_HEREDOCS = 64;

export const KEYWORDS = [
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'FROM',
  'HEALTHCHECK',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
] as const;
export type Keyword = (typeof KEYWORDS)[number];

export interface PlacedWord {
  /** As written, with its quotes. */
  readonly text: string;
  readonly at: Position;
}

export interface Flag {
  readonly name: string;
  /** Undefined for `--link`. */
  readonly value: string | undefined;
  readonly at: Position;
}

export interface Heredoc {
  readonly name: string;
  /** `<<-` takes the tabs off. */
  readonly stripsTabs: boolean;
  /** A quoted name keeps variables as they are. */
  readonly expands: boolean;
  readonly content: PlacedText;
}

export interface Instruction {
  readonly keyword: Keyword;
  readonly at: Position;
  readonly lastLine: number;
  readonly flags: readonly Flag[];
  readonly form: 'json' | 'shell';
  /** The strings of the JSON form, the words of the other, with their quotes. */
  readonly words: readonly PlacedWord[];
  /** What follows keyword and flags. */
  readonly rest: PlacedText;
  readonly heredocs: readonly Heredoc[];
  /** What ONBUILD is to run later; for HEALTHCHECK its CMD. */
  readonly inner: Instruction | undefined;
}

const WITH_JSON: ReadonlySet<string> = new Set(['ADD', 'CMD', 'COPY', 'ENTRYPOINT', 'RUN', 'SHELL', 'VOLUME']);
const WITH_HEREDOCS: ReadonlySet<string> = new Set(['ADD', 'COPY', 'RUN']);
const WITH_FLAGS: ReadonlySet<string> = new Set(['ADD', 'COPY', 'FROM', 'HEALTHCHECK', 'RUN']);
const HEREDOC = /^\d*<<(-?)(?:'([^']+)'|"([^"]+)"|([A-Za-z_][\w.-]*))$/;

/** Throws OciError `malformed` and `limit`. Takes the lines of its heredocs from the reader. */
export function parseInstruction(
  line: PlacedText,
  reader: LineReader,
  within?: 'ONBUILD' | 'HEALTHCHECK',
): Instruction {
  const [, word = ''] = /^(\S*)/.exec(line.text) ?? [];
  const at = line.positionAt(0);
  const keyword = KEYWORDS.find((known) => known === word.toUpperCase());
  if (keyword === undefined) throw malformed(at, `no instruction “${word.slice(0, 40)}”`);
  const { flags, end } = WITH_FLAGS.has(keyword) ? readFlags(line, word.length) : { flags: [], end: word.length };
  const rest = trimmed(sliceOf(line, end));
  const json = WITH_JSON.has(keyword) ? jsonStrings(rest) : undefined;
  const words = json ?? splitWords(rest, reader.directives.escape);
  const heredocs = json === undefined && WITH_HEREDOCS.has(keyword) ? readHeredocs(words, reader) : [];
  const lastLine = heredocs.reduce(
    (last, { content }) => Math.max(last, content.positionAt(content.text.length).line),
    line.positionAt(Math.max(0, line.text.length - 1)).line,
  );
  return {
    keyword,
    at,
    lastLine,
    flags,
    form: json === undefined ? 'shell' : 'json',
    words,
    rest,
    heredocs,
    inner: within === undefined ? innerOf(keyword, rest, reader) : healthcheckOf(keyword, rest, reader),
  };
}

/** Words between blanks, quotes kept together, each as it is written. */
export function splitWords(source: PlacedText, escape: string): readonly PlacedWord[] {
  const words: PlacedWord[] = [];
  const { text } = source;
  let start: number | undefined;
  let quote = '';
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] ?? '';
    const blank = quote === '' && (character === ' ' || character === '\t');
    if (blank) {
      if (start !== undefined) words.push({ text: text.slice(start, index), at: source.positionAt(start) });
      start = undefined;
      continue;
    }
    start ??= index;
    if (character === escape && quote !== "'") index += 1;
    else if (quote === '' ? character === '"' || character === "'" : character === quote) {
      quote = quote === '' ? character : '';
    }
  }
  if (start !== undefined) words.push({ text: text.slice(start), at: source.positionAt(start) });
  return words;
}

export function malformed(at: Position, message: string): OciError {
  return new OciError('malformed', `line ${at.line}, column ${at.column}: ${message}`);
}

function innerOf(keyword: Keyword, rest: PlacedText, reader: LineReader): Instruction | undefined {
  if (keyword === 'ONBUILD') return parseInstruction(rest, reader, 'ONBUILD');
  return healthcheckOf(keyword, rest, reader);
}

function healthcheckOf(keyword: Keyword, rest: PlacedText, reader: LineReader): Instruction | undefined {
  if (keyword !== 'HEALTHCHECK' || !/^CMD(?:\s|$)/i.test(rest.text)) return undefined;
  return parseInstruction(rest, reader, 'HEALTHCHECK');
}

function readFlags(line: PlacedText, from: number): { flags: readonly Flag[]; end: number } {
  const flags: Flag[] = [];
  let end = from;
  for (;;) {
    const [whole, blanks = '', flag = ''] =
      /^(\s*)(--[^\s=]+(?:=(?:"[^"]*"|[^\s"]+)*)?)(?=\s|$)/.exec(line.text.slice(end, end + 4096)) ?? [];
    if (whole === undefined) return { flags, end };
    const equals = flag.indexOf('=');
    flags.push({
      name: equals < 0 ? flag.slice(2) : flag.slice(2, equals),
      value: equals < 0 ? undefined : flag.slice(equals + 1).replaceAll('"', ''),
      at: line.positionAt(end + blanks.length),
    });
    end += whole.length;
  }
}

function jsonStrings(rest: PlacedText): readonly PlacedWord[] | undefined {
  if (!rest.text.startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(rest.text);
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) return undefined;
    // Where each string stands: quotes in JSON are escaped inside strings, so that strings are found from left to right.
    const places = [...rest.text.matchAll(/"(?:[^"\\]|\\.)*"/g)];
    return value.map((text, index) => ({ text, at: rest.positionAt(places[index]?.index ?? 0) }));
  } catch {
    // What is no JSON is a command for the shell: that is what the builder makes of it.
    return undefined;
  }
}

function readHeredocs(words: readonly PlacedWord[], reader: LineReader): readonly Heredoc[] {
  const found: Heredoc[] = [];
  for (const { text, at } of words) {
    const [whole, dash, single, double, plain] = HEREDOC.exec(text) ?? [];
    if (whole === undefined) continue;
    if (found.length >= MAX_HEREDOCS)
      throw new OciError('limit', `line ${at.line}: more than ${MAX_HEREDOCS} heredocs`);
    const name = single ?? double ?? plain ?? '';
    const lines: { text: string; line: number; column: number }[] = [];
    for (;;) {
      const next = reader.nextPhysical();
      if (next === undefined) throw malformed(at, `heredoc “${name.slice(0, 40)}” has no end`);
      const bare = dash === '-' ? next.text.replace(/^\t+/, '') : next.text;
      if (bare === name) break;
      lines.push({ text: bare, line: next.line, column: next.text.length - bare.length + 1 });
    }
    found.push({ name, stripsTabs: dash === '-', expands: plain !== undefined, content: placedLines(lines, at) });
  }
  return found;
}

function placedLines(
  lines: readonly { readonly text: string; readonly line: number; readonly column: number }[],
  fallback: Position,
): PlacedText {
  const starts: number[] = [];
  let offset = 0;
  for (const { text } of lines) {
    starts.push(offset);
    offset += text.length + 1;
  }
  const positionAt = (where: number): Position => {
    let index = starts.findLastIndex((start) => start <= where);
    index = Math.max(0, index);
    const line = lines[index];
    if (line === undefined) return fallback;
    return { line: line.line, column: line.column + where - (starts[index] ?? 0) };
  };
  return { text: lines.map(({ text }) => `${text}\n`).join(''), positionAt };
}

function trimmed(source: PlacedText): PlacedText {
  const start = source.text.length - source.text.trimStart().length;
  return sliceOf(source, start, Math.max(start, source.text.trimEnd().length));
}
