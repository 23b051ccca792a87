// Shell scripts of RUN instructions: POSIX.1-2024 Shell Command Language, section 2.10, and what bash adds that Dockerfiles
// use (`[[`, `<<<`, `<(`, `function`, `|&`, `&>`). No evaluation: words keep their variables.
import { OciError } from '../oci-error.ts';
import type {
  CompoundCommand,
  Pipeline,
  Redirect,
  ShellCommand,
  ShellList,
  ShellWord,
  SimpleCommand,
} from './nodes.ts';
import { readWord, type WordReader } from './words.ts';

/** Subshells, substitutions and compound commands in each other; the depth of recursion here. */
export const MAX_SHELL_DEPTH = 64;
/** With those in substitutions. Whoever judges a command looks at those after it, so that time is the square. */
const MAX_COMMANDS = 2000;

const OPERATORS: readonly string[] = ['&&', '||', ';;&', ';;', ';&', '|&', '|', '&>>', '&>', '&', ';', '(', ')', '\n'];
const REDIRECTS: readonly string[] = ['<<<', '<<-', '<<', '<>', '<&', '>>', '>&', '>|', '&>>', '&>', '<', '>'];
const ENDS: ReadonlySet<string> = new Set(['then', 'else', 'elif', 'fi', 'do', 'done', 'esac', '}']);

/** Throws OciError `malformed` and `limit`. */
export function parseShell(source: string): ShellList {
  return new ShellParser(source, 0, { commands: 0 }).script();
}

class ShellParser {
  readonly #source: string;
  readonly #depth: number;
  #at = 0;
  /** Shared with the parsers of its substitutions. */
  readonly #spent: { commands: number };
  #heredocs: { redirect: { body: string | undefined }; end: string; stripsTabs: boolean }[] = [];
  /** Offsets of a substitution count from the start of the outermost script. */
  readonly #base: number;

  constructor(source: string, depth: number, spent: { commands: number }, base = 0) {
    if (depth > MAX_SHELL_DEPTH)
      throw new OciError('limit', `shell script is nested more than ${MAX_SHELL_DEPTH} deep`);
    this.#source = source;
    this.#spent = spent;
    this.#depth = depth;
    this.#base = base;
  }

  script(): ShellList {
    const list = this.#list(0);
    if (this.#at < this.#source.length)
      throw this.#malformed(`unexpected “${this.#source.slice(this.#at, this.#at + 10)}”`);
    return list;
  }

  #list(depth: number): ShellList {
    if (this.#depth + depth > MAX_SHELL_DEPTH) {
      throw new OciError('limit', `shell script is nested more than ${MAX_SHELL_DEPTH} deep`);
    }
    const pipelines: Pipeline[] = [];
    for (;;) {
      this.#skipBlankLines();
      if (this.#atEndOfList()) return { pipelines };
      const pipeline = this.#pipeline(depth);
      const joined = this.#takeOperator(['&&', '||', ';', '&', '\n']);
      pipelines.push({ ...pipeline, joined: joined === '\n' ? ';' : joined });
      if (joined === '\n') this.#readHeredocs();
      if (joined === '') return { pipelines };
    }
  }

  #pipeline(depth: number): Pipeline {
    const offset = this.#here();
    const negated = this.#takeWord('!');
    const commands = [this.#command(depth)];
    while (this.#takeOperator(['|&', '|']) !== '') {
      this.#skipBlankLines();
      commands.push(this.#command(depth));
    }
    return { commands, negated, offset, joined: '' };
  }

  #command(depth: number): ShellCommand {
    this.#spent.commands += 1;
    if (this.#spent.commands > MAX_COMMANDS)
      throw new OciError('limit', `shell script has more than ${MAX_COMMANDS} commands`);
    this.#skipBlanks();
    const offset = this.#here();
    if (this.#source.startsWith('((', this.#at)) return this.#arithmetic(offset);
    if (this.#source[this.#at] === '(') {
      this.#at += 1;
      const body = this.#list(depth + 1);
      this.#expectOperator(')');
      return this.#compound('subshell', [body], offset);
    }
    const word = this.#peekWord();
    switch (word) {
      case '{':
        this.#takeWord('{');
        return this.#compound('group', [this.#bodyUntil('}', depth)], offset);
      case 'if':
        return this.#if(depth, offset);
      case 'while':
      case 'until': {
        this.#takeWord(word);
        const condition = this.#bodyUntil('do', depth);
        return this.#compound('loop', [condition, this.#bodyUntil('done', depth)], offset);
      }
      case 'for':
      case 'select':
        return this.#for(word, depth, offset);
      case 'case':
        return this.#case(depth, offset);
      case '[[':
        return this.#test(offset);
      case 'function':
        this.#takeWord('function');
        this.#skipBlanks();
        this.#word();
        return this.#function(depth, offset);
      default:
        return this.#simple(depth, offset);
    }
  }

  #if(depth: number, offset: number): CompoundCommand {
    this.#takeWord('if');
    const bodies = [this.#bodyUntil('then', depth)];
    for (;;) {
      bodies.push(this.#list(depth + 1));
      if (this.#takeWord('elif')) bodies.push(this.#bodyUntil('then', depth));
      else if (this.#takeWord('else')) {
        bodies.push(this.#bodyUntil('fi', depth));
        return this.#compound('if', bodies, offset);
      } else {
        this.#expectWord('fi');
        return this.#compound('if', bodies, offset);
      }
    }
  }

  #for(keyword: string, depth: number, offset: number): CompoundCommand {
    this.#takeWord(keyword);
    this.#skipBlanks();
    const words: ShellWord[] = [];
    if (this.#source.startsWith('((', this.#at)) this.#arithmetic(offset);
    else {
      this.#word();
      this.#skipBlankLines();
      if (this.#takeWord('in')) {
        for (this.#skipBlanks(); this.#startsWord(); this.#skipBlanks()) words.push(this.#word());
      }
    }
    this.#takeOperator([';', '\n']);
    this.#skipBlankLines();
    this.#expectWord('do');
    return this.#compound('loop', [this.#bodyUntil('done', depth)], offset, words);
  }

  #case(depth: number, offset: number): CompoundCommand {
    this.#takeWord('case');
    this.#skipBlanks();
    const words = [this.#word()];
    this.#skipBlankLines();
    this.#expectWord('in');
    const bodies: ShellList[] = [];
    for (this.#skipBlankLines(); !this.#takeWord('esac'); this.#skipBlankLines()) {
      this.#takeOperator(['(']);
      do {
        this.#skipBlanks();
        this.#word();
      } while (this.#takeOperator(['|']) !== '');
      this.#expectOperator(')');
      bodies.push(this.#list(depth + 1));
      this.#takeOperator([';;&', ';;', ';&']);
    }
    return this.#compound('case', bodies, offset, words);
  }

  /** `[[ … ]]` has operators of its own; none of it runs anything but its substitutions. */
  #test(offset: number): CompoundCommand {
    this.#takeWord('[[');
    const words: ShellWord[] = [];
    for (;;) {
      this.#skipBlankLines();
      if (this.#takeWord(']]')) return this.#compound('test', [], offset, words);
      if (this.#at >= this.#source.length) throw this.#malformed('“[[” has no “]]”');
      if (this.#startsWord()) words.push(this.#word());
      else this.#at += 1;
    }
  }

  #function(depth: number, offset: number): CompoundCommand {
    if (this.#takeOperator(['(']) !== '') this.#expectOperator(')');
    this.#skipBlankLines();
    if (this.#depth + depth > MAX_SHELL_DEPTH)
      throw new OciError('limit', `shell script is nested more than ${MAX_SHELL_DEPTH} deep`);
    const body = this.#command(depth + 1);
    return this.#compound(
      'function',
      [{ pipelines: [{ commands: [body], negated: false, offset, joined: '' }] }],
      offset,
    );
  }

  #arithmetic(offset: number): CompoundCommand {
    const end = this.#source.indexOf('))', this.#at + 2);
    if (end < 0) throw this.#malformed('“((” has no “))”');
    this.#at = end + 2;
    return this.#compound('test', [], offset);
  }

  #simple(depth: number, offset: number): ShellCommand {
    const assignments: ShellWord[] = [];
    const words: ShellWord[] = [];
    const redirects: Redirect[] = [];
    for (;;) {
      this.#skipBlanks();
      const redirect = this.#redirect();
      if (redirect !== undefined) redirects.push(redirect);
      else if (this.#startsWord()) {
        const word = this.#word();
        if (words.length === 0 && /^[A-Za-z_]\w*(?:\[[^\]]*\])?\+?=/.test(word.text)) {
          assignments.push(word);
          // `a=(1 2)`: an array.
          if (word.text.endsWith('=') && this.#source[this.#at] === '(') assignments.push(...this.#array());
        } else {
          words.push(word);
          if (
            words.length === 1 &&
            /^\s*\(\s*\)/.test(this.#source.slice(this.#at, this.#at + 16)) &&
            assignments.length === 0
          ) {
            return this.#function(depth, offset);
          }
        }
      } else break;
    }
    if (assignments.length + words.length + redirects.length === 0) {
      throw this.#malformed(`a command expected before “${this.#source.slice(this.#at, this.#at + 10)}”`);
    }
    const command: SimpleCommand = { type: 'command', assignments, words, redirects, offset };
    return command;
  }

  #array(): readonly ShellWord[] {
    this.#at += 1;
    const words: ShellWord[] = [];
    for (this.#skipBlankLines(); this.#startsWord(); this.#skipBlankLines()) words.push(this.#word());
    this.#expectOperator(')');
    return words;
  }

  #compound(
    kind: CompoundCommand['kind'],
    bodies: readonly ShellList[],
    offset: number,
    words: readonly ShellWord[] = [],
  ): CompoundCommand {
    const redirects: Redirect[] = [];
    for (;;) {
      this.#skipBlanks();
      const redirect = this.#redirect();
      if (redirect === undefined) return { type: 'compound', kind, bodies, words, redirects, offset };
      redirects.push(redirect);
    }
  }

  #redirect(): Redirect | undefined {
    const [digits = ''] = /^\d{0,9}/.exec(this.#source.slice(this.#at, this.#at + 10)) ?? [];
    const start = this.#at + digits.length;
    const operator = REDIRECTS.find((candidate) => this.#source.startsWith(candidate, start));
    // `<(…)` and `>(…)` are words.
    if (operator === undefined || (operator.length === 1 && this.#source[start + 1] === '(')) return undefined;
    this.#at = start + operator.length;
    this.#skipBlanks();
    if (!this.#startsWord()) throw this.#malformed(`“${operator}” leads nowhere`);
    const target = this.#word();
    const redirect = { operator, target, body: undefined as string | undefined };
    if (operator === '<<' || operator === '<<-') {
      this.#heredocs.push({ redirect, end: target.value, stripsTabs: operator === '<<-' });
    }
    return redirect;
  }

  #readHeredocs(): void {
    for (const { redirect, end, stripsTabs } of this.#heredocs) {
      const lines: string[] = [];
      for (;;) {
        if (this.#at >= this.#source.length) break;
        const newline = this.#source.indexOf('\n', this.#at);
        const line = this.#source.slice(this.#at, newline < 0 ? undefined : newline);
        this.#at = newline < 0 ? this.#source.length : newline + 1;
        const bare = stripsTabs ? line.replace(/^\t+/, '') : line;
        if (bare === end) break;
        lines.push(bare);
      }
      redirect.body = lines.join('\n');
    }
    this.#heredocs = [];
  }

  #bodyUntil(end: string, depth: number): ShellList {
    const list = this.#list(depth + 1);
    this.#expectWord(end);
    return list;
  }

  #word(): ShellWord {
    const reader: WordReader = {
      source: this.#source,
      base: this.#base,
      parse: (script, offset) => new ShellParser(script, this.#depth + 1, this.#spent, offset).script(),
    };
    const { word, end } = readWord(reader, this.#at);
    this.#at = end;
    return word;
  }

  #startsWord(): boolean {
    const character = this.#source[this.#at];
    if (character === undefined || '\n;&|()'.includes(character)) return false;
    if (character === '<' || character === '>') return this.#source[this.#at + 1] === '(';
    return true;
  }

  #peekWord(): string {
    return /^[^\s;&|()<>"'\\$`]*/.exec(this.#source.slice(this.#at, this.#at + 16))?.[0] ?? '';
  }

  #takeWord(word: string): boolean {
    this.#skipBlanks();
    if (this.#peekWord() !== word) return false;
    this.#at += word.length;
    return true;
  }

  #expectWord(word: string): void {
    this.#skipBlankLines();
    if (!this.#takeWord(word)) throw this.#malformed(`“${word}” expected`);
  }

  #takeOperator<T extends string>(operators: readonly T[]): T | '' {
    this.#skipBlanks();
    const next = OPERATORS.find((operator) => this.#source.startsWith(operator, this.#at));
    const found = operators.find((operator) => operator === next);
    if (found === undefined) return '';
    this.#at += found.length;
    return found;
  }

  #expectOperator(operator: string): void {
    this.#skipBlankLines();
    if (this.#takeOperator([operator]) === '') throw this.#malformed(`“${operator}” expected`);
  }

  #atEndOfList(): boolean {
    const next = this.#source[this.#at];
    if (
      next === undefined ||
      next === ')' ||
      this.#source.startsWith(';;', this.#at) ||
      this.#source.startsWith(';&', this.#at)
    )
      return true;
    return ENDS.has(this.#peekWord());
  }

  #skipBlankLines(): void {
    for (;;) {
      this.#skipBlanks();
      if (this.#source[this.#at] !== '\n') return;
      this.#at += 1;
      this.#readHeredocs();
    }
  }

  #skipBlanks(): void {
    for (;;) {
      const character = this.#source[this.#at];
      if (character === ' ' || character === '\t' || character === '\r') this.#at += 1;
      else if (character === '\\' && this.#source[this.#at + 1] === '\n') this.#at += 2;
      else if (character === '#') {
        const newline = this.#source.indexOf('\n', this.#at);
        this.#at = newline < 0 ? this.#source.length : newline;
      } else return;
    }
  }

  #here(): number {
    return this.#base + this.#at;
  }

  #malformed(message: string): OciError {
    return new OciError('malformed', `shell script, character ${this.#here()}: ${message}`);
  }
}
