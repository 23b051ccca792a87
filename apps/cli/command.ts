// What a command is, as data: its words, its options, and where its code is.
import type { Clones, Encryption, WatchMode } from '@ringwall/api';
import type { ExitName } from './exit-codes.ts';
import type { Invocation } from './invocation.ts';

/** What a shell may offer for a value. */
export type Completion = 'machine' | 'image' | 'drill' | 'file' | 'none' | readonly string[];

export interface Argument {
  readonly name: string;
  readonly optional?: true;
  /** Takes all that are left. */
  readonly many?: true;
  readonly complete: Completion;
}

export interface Option {
  readonly name: string;
  readonly short?: string;
  /** What its value is called in help; a flag has none. */
  readonly value?: string;
  readonly complete?: Completion;
  readonly summary: string;
}

export interface Example {
  /** Without the program's name. */
  readonly line: string;
  readonly says: string;
}

export interface CommandModule {
  /** Does it; a number is the exit code, nothing means that all went well. Failures are thrown. */
  readonly run: (invocation: Invocation) => Promise<number | void>;
}

export interface Command {
  readonly name: string;
  readonly group: 'Machines' | 'Networks' | 'Evidence' | 'Disks' | 'Containers' | 'Sealed files' | 'This host' | 'More';
  readonly summary: string;
  /** What a user must know beyond the summary. */
  readonly description?: string;
  readonly arguments?: readonly Argument[];
  readonly options?: readonly Option[];
  readonly examples: readonly Example[];
  /** Exit codes beyond `ok`, `failed`, `usage`, in the order of their table. */
  readonly exits?: readonly ExitName[];
  /** What `--json` does here, where it is not one document. */
  readonly json?: string;
  /** How it is called, where that depends on its first word. */
  readonly forms?: readonly string[];
  readonly hidden?: true;
  readonly load: () => Promise<CommandModule>;
}

export const JSON_OPTION: Option = { name: 'json', summary: 'print one JSON document for programs' };
export const HELP_OPTION: Option = { name: 'help', short: 'h', summary: 'show this help' };

/** As in the contract, whose schemas would cost more to load than a command takes. */
export const WATCH_MODES: readonly WatchMode[] = ['enforce', 'pause', 'report', 'off'];

export const ENCRYPTIONS: readonly Encryption[] = ['guest', 'authenticated'];
/** Whether a machine may be cloned. */
export const CLONES: readonly Clones[] = ['deny', 'allow'];

/** A machine, in the words that all commands use for it. */
export const MACHINE: Argument = { name: 'NAME', complete: 'machine' };
export const MACHINES: Argument = { name: 'NAME', complete: 'machine', many: true };

/** What a command takes besides its arguments. */
export function optionsOf(command: Command): readonly Option[] {
  const { options = [], json = JSON_OPTION.summary } = command;
  return [...options, { ...JSON_OPTION, summary: json }, HELP_OPTION];
}

/** `run [IMAGE]`, `stop NAME...`; several where the first word decides. */
export function usagesOf(command: Command): readonly string[] {
  return command.forms ?? [usageOf(command)];
}

function usageOf(command: Command): string {
  const words = (command.arguments ?? []).map(({ name, optional, many }) => {
    const word = many === true ? `${name}...` : name;
    return optional === true ? `[${word}]` : word;
  });
  return [command.name, ...words].join(' ');
}
