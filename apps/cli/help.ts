// Help, made from the table of commands: the overview, one command, and the same as data for programs.
import { optionsOf, usagesOf, type Command, type Option } from './command.ts';
import { COMMANDS } from './commands.ts';
import { EXIT_CODES, type ExitName } from './exit-codes.ts';
import { wrapText, type Terminal } from './terminal.ts';

const GROUPS = [
  'Machines',
  'Networks',
  'Evidence',
  'Disks',
  'Containers',
  'Sealed files',
  'This host',
  'More',
] as const;
/** Every command can end so. */
const COMMON_EXITS: readonly ExitName[] = ['ok', 'failed', 'usage'];

export function renderHelp(terminal: Terminal, self: string): string[] {
  const visible = COMMANDS.filter(({ hidden }) => hidden !== true);
  const width = Math.max(...visible.map(({ name }) => name.length));
  const title = (text: string): string => terminal.paint('bold', text);
  return [
    `${title('Ringwall')} runs virtual machines that prove what they booted before their disk opens.`,
    '',
    `Usage: ${self} COMMAND [OPTIONS]`,
    ...GROUPS.flatMap((group) => [
      '',
      title(group),
      ...visible
        .filter((command) => command.group === group)
        .map(({ name, summary }) => `  ${terminal.paint('cyan', name.padEnd(width))}  ${summary}`),
    ]),
    '',
    title('Try'),
    `  ${self} run hello`,
    `  ${self} help run`,
    '',
    title('Exit codes'),
    ...Object.values(EXIT_CODES).map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`),
  ];
}

export function renderCommandHelp(terminal: Terminal, command: Command, self: string): string[] {
  const title = (text: string): string => terminal.paint('bold', text);
  const { summary, description, examples } = command;
  const exits = [...COMMON_EXITS, ...(command.exits ?? [])].map((name) => EXIT_CODES[name]);
  const options = optionsOf(command).map((option) => ({ spelled: spell(option), summary: option.summary }));
  const optionWidth = Math.max(...options.map(({ spelled }) => spelled.length));
  const exampleWidth = Math.max(...examples.map(({ line }) => line.length));
  return [
    `${title(command.name)}: ${summary}`,
    '',
    ...usagesOf(command).map((usage, index) => `${index === 0 ? 'Usage:' : '      '} ${self} ${usage} [OPTIONS]`),
    ...(description === undefined ? [] : ['', ...wrapText(description, terminal.textColumns, 0)]),
    '',
    title(examples.length > 1 ? 'Examples' : 'Example'),
    ...examples.map(({ line, says }) => {
      const spelled = `  ${self} ${says === '' ? line : line.padEnd(exampleWidth)}`;
      return says === '' ? spelled : `${spelled}  ${terminal.paint('dim', says)}`;
    }),
    '',
    title('Options'),
    ...options.map((option) => `  ${terminal.paint('cyan', option.spelled.padEnd(optionWidth))}  ${option.summary}`),
    '',
    title('Exit codes'),
    ...exits.map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`),
  ];
}

/** The table without what only the program needs. */
export function helpDocument(command?: Command): unknown {
  const describe = ({ load: _, hidden: __, exits, ...told }: Command): unknown => ({
    ...told,
    usage: usagesOf({ ...told, load: _ }).join('\n'),
    options: optionsOf({ ...told, load: _ }),
    exitCodes: [...COMMON_EXITS, ...(exits ?? [])].map((name) => EXIT_CODES[name]),
  });
  if (command !== undefined) return describe(command);
  return {
    commands: COMMANDS.filter(({ hidden }) => hidden !== true).map(describe),
    exitCodes: Object.values(EXIT_CODES),
  };
}

function spell({ name, short, value }: Option): string {
  const long = `--${name}${value === undefined ? '' : ` ${value}`}`;
  return short === undefined ? `    ${long}` : `-${short}, ${long}`;
}
