// Variables in the words of a Dockerfile: `$x`, `${x:-y}` and all other forms that BuildKit's `shell` package knows.
// Dockerfile reference, "Environment replacement".
import { OciError } from '../oci-error.ts';
import { removePrefix, removeSuffix, replacePattern } from './pattern.ts';

/** `${a:-${b:-…}}`: deeper than anybody writes, and the depth of recursion here. */
const MAX_DEPTH = 32;
/** Values that are put into values double in length each time. */
const MAX_EXPANDED_CHARACTERS: number = 64 * 1024;

export type Variables = ReadonlyMap<string, string>;

export interface Expanded {
  /** Undefined where a variable has no value that this file tells. */
  readonly value: string | undefined;
  /** The variables that had none. */
  readonly unknown: readonly string[];
}

/** One word, its quotes removed and its variables put in. Throws OciError `malformed` and `limit`. */
export function expandWord(word: string, variables: Variables, escape = '\\'): Expanded {
  const expansion = new Expansion(variables, escape);
  const value = expansion.expand(word, 0);
  return { value: expansion.unknown.length > 0 ? undefined : value, unknown: expansion.unknown };
}

class Expansion {
  readonly unknown: string[] = [];
  readonly #variables: Variables;
  readonly #escape: string;

  constructor(variables: Variables, escape: string) {
    this.#variables = variables;
    this.#escape = escape;
  }

  expand(word: string, depth: number): string {
    if (depth > MAX_DEPTH) throw new OciError('limit', `variables are nested more than ${MAX_DEPTH} deep`);
    let result = '';
    let quote = '';
    for (let at = 0; at < word.length; at += 1) {
      const character = word[at] ?? '';
      if (quote === "'") {
        if (character === "'") quote = '';
        else result += character;
      } else if (character === this.#escape) {
        const next = word[at + 1] ?? '';
        // Between double quotes it escapes only what means something there.
        const keeps = quote === '"' && next !== '"' && next !== '$' && next !== this.#escape;
        result += (keeps ? character : '') + next;
        at += 1;
      } else if (character === '"' || (character === "'" && quote === '')) {
        quote = quote === '' ? character : '';
      } else if (character === '$') {
        const { value, end } = this.#variable(word, at, depth);
        result += value;
        at = end - 1;
      } else {
        result += character;
      }
      if (result.length > MAX_EXPANDED_CHARACTERS) {
        throw new OciError('limit', `a word has more than ${MAX_EXPANDED_CHARACTERS} characters with its variables`);
      }
    }
    return result;
  }

  #variable(word: string, at: number, depth: number): { value: string; end: number } {
    if (word[at + 1] !== '{') {
      const name = nameAt(word, at + 1);
      if (name === '') return { value: '$', end: at + 1 };
      return { value: this.#get(name), end: at + 1 + name.length };
    }
    const close = endOfBraces(word, at + 2, this.#escape);
    if (close === undefined) throw new OciError('malformed', 'a “${” has no “}”');
    const inside = word.slice(at + 2, close);
    const name = nameAt(inside, 0);
    if (name === '') throw new OciError('malformed', `no variable in “\${${inside.slice(0, 40)}}”`);
    return { value: this.#modified(name, inside.slice(name.length), depth), end: close + 1 };
  }

  #modified(name: string, modifier: string, depth: number): string {
    if (modifier === '') return this.#get(name);
    const [, operator = '', operand = ''] = /^(:?[-+?]|##?|%%?|\/\/?)([^]*)$/.exec(modifier) ?? [];
    const value = this.#variables.get(name);
    const has = operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
    const expand = (text: string): string => this.expand(text, depth + 1);
    switch (operator) {
      case '-':
      case ':-':
        return has ? (value ?? '') : expand(operand);
      case '+':
      case ':+':
        return has ? expand(operand) : '';
      case '?':
      case ':?':
        return has ? (value ?? '') : this.#get(name);
      case '#':
      case '##':
        return removePrefix(this.#get(name), expand(operand), operator === '##');
      case '%':
      case '%%':
        return removeSuffix(this.#get(name), expand(operand), operator === '%%');
      case '/':
      case '//': {
        const slash = operand.indexOf('/');
        const [pattern, by] = slash < 0 ? [operand, ''] : [operand.slice(0, slash), operand.slice(slash + 1)];
        return replacePattern(this.#get(name), expand(pattern), expand(by), operator === '//');
      }
      default:
        throw new OciError('malformed', `“\${${name}${modifier.slice(0, 20)}}” is no form of a variable`);
    }
  }

  #get(name: string): string {
    const value = this.#variables.get(name);
    if (value === undefined) this.unknown.push(name);
    return value ?? '';
  }
}

function nameAt(text: string, start: number): string {
  let end = start;
  while (/\w/.test(text[end] ?? '')) end += 1;
  return text.slice(start, end);
}

function endOfBraces(word: string, start: number, escape: string): number | undefined {
  let depth = 1;
  for (let at = start; at < word.length; at += 1) {
    if (word[at] === escape) at += 1;
    else if (word[at] === '{' && word[at - 1] === '$') depth += 1;
    else if (word[at] === '}') {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return undefined;
}
