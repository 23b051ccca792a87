// The text in which LVM2 describes a volume group (lvm2: format_text; lvm.conf's own grammar): sections in braces, values that
// are numbers, strings, and lists of them. Read once from front to back; depth and size have limits.
import { ParseError } from '@ringwall/bytes';

export type LvmValue = number | string | readonly (number | string)[];

/** A section: values and sections under their names. */
export interface LvmSection {
  readonly values: ReadonlyMap<string, LvmValue>;
  readonly sections: ReadonlyMap<string, LvmSection>;
}

/** Group, its volumes, a volume, its segments: LVM itself goes four deep. */
const MAX_DEPTH = 16;
/** A group of ten thousand volumes, each in two pieces. A section takes about a kilobyte of memory, whatever the text. */
const MAX_SECTIONS = 32_768;
/** Values, and items of lists: as many as those sections hold. */
const MAX_VALUES = 2 ** 18;
const SPACE = /\s*/y;
const TOKEN = /([A-Za-z0-9_.+-]+)|([{}=[\],])/y;

/** `offset` is where the text lies on the disk. */
export function parseLvmMetadata(text: string, offset: number): LvmSection {
  return parseSection(new Tokens(text, offset), 0);
}

type Token =
  | { readonly kind: 'word' | 'string'; readonly text: string }
  | { readonly kind: 'sign'; readonly text: string }
  | { readonly kind: 'end'; readonly text: '' };

class Tokens {
  readonly #text: string;
  readonly #offset: number;
  #at = 0;
  #sections = 0;
  #values = 0;

  constructor(text: string, offset: number) {
    this.#text = text;
    this.#offset = offset;
  }

  next(): Token {
    this.#skipBetween();
    if (this.#at === this.#text.length) return { kind: 'end', text: '' };
    if (this.#text[this.#at] === '"') return { kind: 'string', text: this.#string() };
    TOKEN.lastIndex = this.#at;
    const match = TOKEN.exec(this.#text);
    if (match === null) throw this.refuse('holds no token here');
    this.#at = TOKEN.lastIndex;
    return match[1] === undefined ? { kind: 'sign', text: match[2] ?? '' } : { kind: 'word', text: match[1] };
  }

  /** To be called before each section and each value is kept. */
  countSection(): void {
    this.#sections += 1;
    if (this.#sections > MAX_SECTIONS) throw this.#limit(`more than ${MAX_SECTIONS} sections`);
  }

  countValue(): void {
    this.#values += 1;
    if (this.#values > MAX_VALUES) throw this.#limit(`more than ${MAX_VALUES} values`);
  }

  /** White space and comments. */
  #skipBetween(): void {
    for (;;) {
      SPACE.lastIndex = this.#at;
      SPACE.exec(this.#text);
      this.#at = SPACE.lastIndex;
      if (this.#text[this.#at] !== '#') return;
      const end = this.#text.indexOf('\n', this.#at);
      this.#at = end === -1 ? this.#text.length : end;
    }
  }

  /** Step by step: an expression for all of a string would need a stack as deep as the string is long. */
  #string(): string {
    const start = this.#at + 1;
    for (let from = start; ;) {
      const quote = this.#text.indexOf('"', from);
      if (quote === -1) throw this.refuse('has a string that does not end');
      let escapes = 0;
      while (this.#text[quote - 1 - escapes] === '\\' && quote - escapes > from) escapes += 1;
      from = quote + 1;
      if (escapes % 2 === 1) continue;
      this.#at = from;
      return this.#text.slice(start, quote).replaceAll(/\\(.)/g, '$1');
    }
  }

  refuse(detail: string): ParseError {
    return new ParseError('invalid', 'LVM metadata', this.#offset + this.#at, detail);
  }

  #limit(detail: string): ParseError {
    return new ParseError('limit', 'LVM metadata', this.#offset + this.#at, detail);
  }
}

/** Up to the brace that closes it, the outermost up to the end. */
function parseSection(tokens: Tokens, depth: number): LvmSection {
  if (depth > MAX_DEPTH) throw tokens.refuse(`goes deeper than ${MAX_DEPTH} sections`);
  tokens.countSection();
  const values = new Map<string, LvmValue>();
  const sections = new Map<string, LvmSection>();
  for (;;) {
    const name = tokens.next();
    if (name.kind === 'end' && depth === 0) return { values, sections };
    if (name.text === '}' && name.kind === 'sign' && depth > 0) return { values, sections };
    if (name.kind !== 'word') throw tokens.refuse(`${JSON.stringify(name.text)}, expected a name`);
    if (values.has(name.text) || sections.has(name.text)) throw tokens.refuse(`says ${name.text} twice`);
    const sign = tokens.next();
    if (sign.kind === 'sign' && sign.text === '{') sections.set(name.text, parseSection(tokens, depth + 1));
    else if (sign.kind === 'sign' && sign.text === '=') values.set(name.text, parseValue(tokens));
    else throw tokens.refuse(`${JSON.stringify(sign.text)} behind ${name.text}, expected = or {`);
  }
}

function parseValue(tokens: Tokens): LvmValue {
  const first = tokens.next();
  if (first.kind !== 'sign') return scalar(tokens, first);
  if (first.text !== '[') throw tokens.refuse(`${JSON.stringify(first.text)}, expected a value`);
  const list: (number | string)[] = [];
  for (let token = tokens.next(); token.text !== ']' || token.kind !== 'sign'; token = tokens.next()) {
    if (token.kind === 'sign' && token.text === ',') continue;
    list.push(scalar(tokens, token));
  }
  return list;
}

function scalar(tokens: Tokens, token: Token): number | string {
  tokens.countValue();
  if (token.kind === 'string') return token.text;
  if (token.kind === 'word' && /^-?\d{1,16}$/.test(token.text)) return Number(token.text);
  // Floating point numbers are settings that no reader needs.
  if (token.kind === 'word' && /^-?\d+\.\d+$/.test(token.text)) return token.text;
  throw tokens.refuse(`${JSON.stringify(token.text)}, expected a number or a string`);
}
