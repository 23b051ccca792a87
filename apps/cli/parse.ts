// Argv to what is to be done, by the table of commands. Pure: it prints nothing and runs nothing.
import { parseArgs } from 'node:util';
import { RingwallError } from '@ringwall/api/errors';
import { optionsOf, usagesOf, type Command } from './command.ts';
import { COMMANDS, findCommand } from './commands.ts';

export type Parsed =
  | { readonly kind: 'help'; readonly command?: Command; readonly json: boolean }
  | {
      readonly kind: 'run';
      readonly command: Command;
      readonly flags: ReadonlySet<string>;
      readonly values: ReadonlyMap<string, string>;
      readonly arguments: readonly string[];
      readonly json: boolean;
    };

/** Throws RingwallError `bad-request`, with what the user may have meant. */
export function parseCommandLine(argv: readonly string[], self: string): Parsed {
  const [first, ...rest] = argv;
  const json = argv.includes('--json');
  if (first === undefined || first === '--help' || first === '-h') return { kind: 'help', json };
  if (first === '--version' || first === '-V') return parseCommandLine(['version', ...rest], self);
  if (first.startsWith('-')) {
    throw usage(`${first} stands before a command`, `options come after it: ${self} COMMAND ${first}`);
  }
  const command = findCommand(first);
  if (command === undefined) {
    const meant = nearest(
      first,
      COMMANDS.filter(({ hidden }) => hidden !== true).map(({ name }) => name),
    );
    throw usage(
      `there is no command ${JSON.stringify(first)}`,
      meant === undefined ? `see them all: ${self} help` : `did you mean: ${self} ${meant}`,
    );
  }
  return parseCommand(command, rest, self);
}

function parseCommand(command: Command, argv: readonly string[], self: string): Parsed {
  const { tokens } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    strict: false,
    tokens: true,
    options: Object.fromEntries(
      optionsOf(command).map(({ name, short, value }) => [
        name,
        {
          type: value === undefined ? ('boolean' as const) : ('string' as const),
          ...(short === undefined ? {} : { short }),
        },
      ]),
    ),
  });
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind === 'option') takeOption(command, token, { flags, values, self });
  }
  const json = flags.has('json');
  if (flags.has('help')) return { kind: 'help', command, json };
  checkWords(command, words, self);
  return { kind: 'run', command, flags, values, arguments: words, json };
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function takeOption(
  command: Command,
  token: OptionToken,
  into: { readonly flags: Set<string>; readonly values: Map<string, string>; readonly self: string },
): void {
  const help = `${into.self} ${command.name} --help`;
  const option = optionsOf(command).find(({ name }) => name === token.name);
  if (option === undefined) {
    const meant = nearest(
      token.name,
      optionsOf(command).map(({ name }) => name),
    );
    const hint = meant === undefined ? `see what it takes: ${help}` : `did you mean --${meant}? See ${help}`;
    throw usage(`${command.name} has no option ${token.rawName}`, hint);
  }
  if (option.value === undefined) {
    if (token.value !== undefined) throw usage(`${token.rawName} takes no value`, `see ${help}`);
    into.flags.add(option.name);
    return;
  }
  // `--name --json` is a forgotten value, not a name; `--name=--json` says what it means.
  const forgotten = token.value?.startsWith('-') === true && token.value !== '-' && token.inlineValue !== true;
  if (token.value === undefined || token.value === '' || forgotten) {
    throw usage(`${token.rawName} needs a value`, `as in: ${token.rawName} ${option.value}`);
  }
  if (into.values.has(option.name)) throw usage(`${token.rawName} is given twice`, `see ${help}`);
  into.values.set(option.name, token.value);
}

function checkWords(command: Command, words: readonly string[], self: string): void {
  const expected = command.arguments ?? [];
  const needed = expected.filter(({ optional }) => optional !== true);
  const example = command.examples[0]?.line ?? command.name;
  if (words.length < needed.length) {
    throw usage(`${command.name} needs ${needed[words.length]?.name ?? 'more'}`, `as in: ${self} ${example}`);
  }
  if (words.length > expected.length && expected.at(-1)?.many !== true) {
    const extra = JSON.stringify(words[expected.length]);
    throw usage(`${extra} is one word too many`, `usage: ${self} ${usagesOf(command).join(`, or: ${self} `)}`);
  }
}

/** The candidate that is at most two typing errors away; the first of the nearest. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = word.length > 3 ? 3 : 2;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein's, with a swap of neighbours as one error. */
function editDistance(a: string, b: string): number {
  // A long word is no typing error of a command, and the table below is its square.
  if (Math.abs(a.length - b.length) > 3) return Number.POSITIVE_INFINITY;
  let previous: number[] = [];
  let current = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const beforePrevious = previous;
    previous = current;
    current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      current[j] = Math.min(
        (previous[j] ?? 0) + 1,
        (current[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (beforePrevious[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
  }
  return current[b.length] ?? Number.POSITIVE_INFINITY;
}

function usage(message: string, hint: string): RingwallError {
  return new RingwallError('bad-request', message, { hint });
}
