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
const BETWEEN = /(?:\s+|#[^\n]*(?:\n|$))*/y;
const TOKEN = /([A-Za-z0-9_.+-]+)|"((?:[^"\\]|\\.)*)"|([{}=[\],])/y;

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

  constructor(text: string, offset: number) {
    this.#text = text;
    this.#offset = offset;
  }

  next(): Token {
    BETWEEN.lastIndex = this.#at;
    BETWEEN.exec(this.#text);
    this.#at = BETWEEN.lastIndex;
    if (this.#at === this.#text.length) return { kind: 'end', text: '' };
    TOKEN.lastIndex = this.#at;
    const match = TOKEN.exec(this.#text);
    if (match === null) throw this.refuse('holds no token here');
    this.#at = TOKEN.lastIndex;
    if (match[1] !== undefined) return { kind: 'word', text: match[1] };
    if (match[2] !== undefined) return { kind: 'string', text: match[2].replaceAll(/\\(.)/g, '$1') };
    return { kind: 'sign', text: match[3] ?? '' };
  }

  refuse(detail: string): ParseError {
    return new ParseError('invalid', 'LVM metadata', this.#offset + this.#at, detail);
  }
}

/** Up to the brace that closes it, the outermost up to the end. */
function parseSection(tokens: Tokens, depth: number): LvmSection {
  if (depth > MAX_DEPTH) throw tokens.refuse(`goes deeper than ${MAX_DEPTH} sections`);
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
  if (token.kind === 'string') return token.text;
  if (token.kind === 'word' && /^-?\d{1,16}$/.test(token.text)) return Number(token.text);
  // Floating point numbers are settings that no reader needs.
  if (token.kind === 'word' && /^-?\d+\.\d+$/.test(token.text)) return token.text;
  throw tokens.refuse(`${JSON.stringify(token.text)}, expected a number or a string`);
}
