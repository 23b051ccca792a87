// Completion scripts for bash, zsh and fish, made from the table of commands. Names of machines, images and drills are
// asked from `ringwall __complete` when they are wanted. What goes into a script are words of a closed form and
// summaries; all quoting of the latter sits in `quote`.
import { optionsOf, type Command, type Completion, type Option } from './command.ts';
import { COMMANDS } from './commands.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function isShell(text: string): text is Shell {
  return SHELLS.some((shell) => shell === text);
}

export function renderCompletion(shell: Shell): string {
  return { bash: renderBash, zsh: renderZsh, fish: renderFish }[shell]();
}

const VISIBLE = COMMANDS.filter(({ hidden }) => hidden !== true);

function renderBash(): string {
  const names = VISIBLE.map(({ name }) => name).join(' ');
  const cases = VISIBLE.map((command) => {
    const words = optionsOf(command).flatMap(spellings).join(' ');
    const values = optionsOf(command).flatMap((option) =>
      option.value === undefined ? [] : [`      ${spellings(option).join('|')}) ${bashReply(option.complete)} ;;`],
    );
    return [
      `    ${command.name})`,
      ...(values.length === 0 ? [] : ['      case $previous in', ...values.map((line) => `  ${line}`), '      esac']),
      `      if [[ $current == -* ]]; then COMPREPLY=($(compgen -W ${quote(words)} -- "$current")); return; fi`,
      ...bashArguments(command).map((line) => `      ${line}`),
      '      ;;',
    ].join('\n');
  });
  return [
    '# bash completion of ringwall, made by `ringwall completion bash`',
    '_ringwall() {',
    '  local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}',
    '  COMPREPLY=()',
    `  if ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W ${quote(names)} -- "$current")); return; fi`,
    '  case ${COMP_WORDS[1]} in',
    ...cases,
    '  esac',
    '}',
    'complete -F _ringwall ringwall ./ringwall',
    '',
  ].join('\n');
}

/** By position where the arguments differ; options in between are few, and Tab before them is rare. */
function bashArguments(command: Command): string[] {
  if (command.name === 'help') return [bashReply(VISIBLE.map(({ name }) => name))];
  const [first, ...more] = command.arguments ?? [];
  return [
    ...more.map(({ complete }, index) => `if ((COMP_CWORD == ${String(index + 3)})); then ${bashReply(complete)}; fi`),
    bashReply(first?.complete),
  ];
}

function bashReply(complete: Completion | undefined): string {
  if (complete === undefined || complete === 'none') return 'return';
  if (complete === 'file') return 'COMPREPLY=($(compgen -f -- "$current")); return';
  const words =
    typeof complete === 'string' ? `"$("$program" __complete ${complete} 2>/dev/null)"` : quote(complete.join(' '));
  return `COMPREPLY=($(compgen -W ${words} -- "$current")); return`;
}

function renderZsh(): string {
  const commands = VISIBLE.map(({ name, summary }) => `    ${quote(`${name}:${summary.replaceAll(':', '\\:')}`)}`);
  const cases = VISIBLE.map((command) => {
    const specs = [
      ...optionsOf(command).map(zshOption),
      ...(command.arguments ?? []).map(({ name, complete, many }, index) =>
        quote(
          `${many === true ? '*' : String(index + 1)}:${name}:${zshAction(command.name === 'help' ? VISIBLE.map((each) => each.name) : complete)}`,
        ),
      ),
    ];
    return `      ${command.name}) _arguments -s ${specs.join(' ')} ;;`;
  });
  return [
    '#compdef ringwall',
    '# zsh completion of ringwall, made by `ringwall completion zsh`',
    '_ringwall_ask() {',
    '  local -a found',
    '  found=(${(f)"$(_call_program names ringwall __complete $1 2>/dev/null)"})',
    '  compadd -a found',
    '}',
    '_ringwall() {',
    '  local -a commands=(',
    ...commands,
    '  )',
    '  local context state line',
    "  _arguments -C '1:command:->command' '*::argument:->argument'",
    '  case $state in',
    '    command) _describe command commands ;;',
    '    argument)',
    '      case $line[1] in',
    ...cases,
    '      esac ;;',
    '  esac',
    '}',
    'if [ "$funcstack[1]" = _ringwall ]; then _ringwall "$@"; else compdef _ringwall ringwall; fi',
    '',
  ].join('\n');
}

function zshOption(option: Option): string {
  const says = option.summary.replaceAll(/[[\]:]/g, '');
  const names = spellings(option);
  const value = option.value === undefined ? '' : `:${option.value}:${zshAction(option.complete)}`;
  const text = `[${says}]${value}`;
  if (names.length === 1) return quote(`${names[0] ?? ''}${text}`);
  return `${quote(`(${names.join(' ')})`)}{${names.join(',')}}${quote(text)}`;
}

function zshAction(complete: Completion | undefined): string {
  if (complete === undefined || complete === 'none') return ' ';
  if (complete === 'file') return '_files';
  return typeof complete === 'string' ? `_ringwall_ask ${complete}` : `(${complete.join(' ')})`;
}

function renderFish(): string {
  return [
    '# fish completion of ringwall, made by `ringwall completion fish`',
    'complete -c ringwall -f',
    ...VISIBLE.map(
      ({ name, summary }) => `complete -c ringwall -n __fish_use_subcommand -a ${name} -d ${quote(summary)}`,
    ),
    ...VISIBLE.flatMap((command) => [
      ...(command.arguments ?? []).flatMap(({ complete }) =>
        fishWords(command, command.name === 'help' ? VISIBLE.map(({ name }) => name) : complete),
      ),
      ...optionsOf(command).map((option) => fishOption(command, option)),
    ]),
    '',
  ].join('\n');
}

function fishWords(command: Command, complete: Completion): string[] {
  const when = `complete -c ringwall -n ${quote(`__fish_seen_subcommand_from ${command.name}`)}`;
  if (complete === 'none') return [];
  if (complete === 'file') return [`${when} -F`];
  return [`${when} -a ${fishSource(complete)}`];
}

function fishOption(command: Command, { name, short, value, complete, summary }: Option): string {
  const parts = [
    `complete -c ringwall -n ${quote(`__fish_seen_subcommand_from ${command.name}`)}`,
    ...(short === undefined ? [] : [`-s ${short}`]),
    `-l ${name}`,
    `-d ${quote(summary)}`,
  ];
  if (value === undefined) return parts.join(' ');
  if (complete === 'file') return [...parts, '-r -F'].join(' ');
  if (complete === undefined || complete === 'none') return [...parts, '-x'].join(' ');
  return [...parts, `-x -a ${fishSource(complete)}`].join(' ');
}

function fishSource(complete: Exclude<Completion, 'none' | 'file'>): string {
  return typeof complete === 'string'
    ? quote(`(ringwall __complete ${complete} 2>/dev/null)`)
    : quote(complete.join(' '));
}

function spellings({ name, short }: Option): string[] {
  return short === undefined ? [`--${name}`] : [`-${short}`, `--${name}`];
}

/** Single quotes, which all three shells read alike but for a quote inside: none is let in. */
function quote(text: string): string {
  return `'${text.replaceAll("'", '’')}'`;
}
