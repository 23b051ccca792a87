// A Dockerfile as its rules look at it: the commands that its RUN instructions run, by stage, with their places; read once
// for all rules.
import { OciError } from '../../oci-error.ts';
import type { ShellCommand, ShellList, SimpleCommand } from '../../shell/nodes.ts';
import { parseShell } from '../../shell/parse.ts';
import { pipelinesOf, simpleCommands } from '../../shell/walk.ts';
import type { Dockerfile, Stage } from '../dockerfile.ts';
import type { Instruction } from '../instruction.ts';
import type { PlacedText, Position } from '../logical-lines.ts';
import type { RuleOptions } from './rule.ts';

export interface Command {
  /** Its own name, without path, and behind `sudo`, `env` and the like. */
  readonly name: string;
  /** What follows the name. */
  readonly args: readonly string[];
  readonly at: Position;
  /** Among the commands of its RUN. */
  readonly index: number;
  readonly run: RunView;
  readonly shell: SimpleCommand;
}

/** One RUN, or one that ONBUILD will run. */
export interface RunView {
  readonly instruction: Instruction;
  readonly stage: StageView | undefined;
  readonly commands: readonly Command[];
  /** Pipelines of two commands or more, by their commands. */
  readonly pipes: readonly (readonly Command[])[];
  /** Undefined where the script could not be read, or is none of a POSIX shell. */
  readonly script: ShellList | undefined;
  /** Why it could not. */
  readonly trouble: { readonly at: Position; readonly message: string } | undefined;
  /** As text, for what needs no tree. */
  readonly source: PlacedText;
}

export interface StageView {
  readonly stage: Stage;
  /** The stages that this one is built on, itself first. */
  readonly lineage: readonly StageView[];
  readonly instructions: readonly Instruction[];
  readonly runs: readonly RunView[];
}

export interface DockerfileView {
  readonly file: Dockerfile;
  readonly stages: readonly StageView[];
  readonly runs: readonly RunView[];
  readonly commands: readonly Command[];
  readonly options: RuleOptions;
}

/** They run what follows them. */
const WRAPPERS: ReadonlySet<string> = new Set([
  'env',
  'exec',
  'nice',
  'nohup',
  'time',
  'command',
  'busybox',
  'eatmydata',
]);
const POSIX_SHELLS = /(?:^|[\\/\s])(?:ba|da|a|z|k)?sh(?:\s|$)/;

/** `sh -c 'sh -c …'`. */
const MAX_SCRIPTS_IN_SCRIPTS = 3;

export function viewDockerfile(file: Dockerfile, options: RuleOptions): DockerfileView {
  const stages: (StageView & { runs: RunView[]; lineage: StageView[] })[] = [];
  for (const stage of file.stages) {
    const view = { stage, lineage: [] as StageView[], instructions: stage.instructions, runs: [] as RunView[] };
    const base = stage.baseStage === undefined ? [] : (stages[stage.baseStage]?.lineage ?? []);
    view.lineage.push(view, ...base);
    let posix = true;
    for (const instruction of stage.instructions) {
      if (instruction.keyword === 'SHELL') posix = POSIX_SHELLS.test(instruction.words[0]?.text ?? '');
      for (const each of [instruction, instruction.inner]) {
        if (each?.keyword === 'RUN') view.runs.push(viewRun(each, view, posix));
      }
    }
    stages.push(view);
  }
  const loose = file.preamble
    .filter(({ keyword }) => keyword === 'RUN')
    .map((instruction) => viewRun(instruction, undefined, true));
  const runs = [...loose, ...stages.flatMap((stage) => stage.runs)];
  return { file, stages, runs, commands: runs.flatMap(({ commands }) => commands), options };
}

function viewRun(instruction: Instruction, stage: StageView | undefined, posix: boolean): RunView {
  const source = scriptOf(instruction);
  const empty = { instruction, stage, commands: [], pipes: [], script: undefined, trouble: undefined, source };
  if (!posix || !isShellScript(instruction)) return empty;
  try {
    const script = parseShell(source.text);
    const run = { ...empty, script, commands: [] as Command[], pipes: [] as (readonly Command[])[] };
    addScript(script, run, source.positionAt, 0);
    return run;
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    return { ...empty, trouble: { at: instruction.at, message: error.message } };
  }
}

type RunBeingRead = RunView & { commands: Command[]; pipes: (readonly Command[])[] };

function addScript(script: ShellList, run: RunBeingRead, positionAt: PlacedText['positionAt'], depth: number): void {
  const byShell = new Map<ShellCommand, Command>();
  for (const shell of simpleCommands(script)) {
    for (const found of commandOf(shell, run, positionAt)) {
      const command = { ...found, index: run.commands.length };
      byShell.set(shell, command);
      run.commands.push(command);
      const inner = depth < MAX_SCRIPTS_IN_SCRIPTS ? scriptArgument(command) : undefined;
      if (inner !== undefined) addScript(inner, run, () => command.at, depth + 1);
    }
  }
  for (const { commands } of pipelinesOf(script)) {
    const known = commands.map((command) => byShell.get(command)).filter((command) => command !== undefined);
    if (commands.length > 1) run.pipes.push(known);
  }
}

/** `sh -c '…'`. What cannot be read there depends on the run, or is none of this shell's. */
function scriptArgument({ name, args }: Command): ShellList | undefined {
  if (!/^(?:ba|da|a|z|k)?sh$/.test(name)) return undefined;
  const option = args.findIndex((arg) => /^-[a-z]*c$/.test(arg));
  const script = args[option + 1];
  if (option < 0 || script === undefined) return undefined;
  try {
    return parseShell(script);
  } catch (error) {
    if (error instanceof OciError) return undefined;
    throw error;
  }
}

/** The JSON form runs no shell: its strings are one command. */
function scriptOf(instruction: Instruction): PlacedText {
  const [only] = instruction.heredocs;
  if (instruction.form === 'json') {
    const quoted = instruction.words.map(({ text }) => `'${text.replaceAll("'", `'\\''`)}'`).join(' ');
    return { text: quoted, positionAt: () => instruction.rest.positionAt(0) };
  }
  if (only !== undefined && instruction.heredocs.length === 1 && instruction.words.length === 1) return only.content;
  if (only === undefined) return instruction.rest;
  const bodies = instruction.heredocs.map(({ content, name }) => `\n${content.text}${name}`).join('');
  return { text: instruction.rest.text + bodies, positionAt: instruction.rest.positionAt };
}

function isShellScript({ heredocs, words }: Instruction): boolean {
  const [only] = heredocs;
  if (only === undefined || words.length > 1) return true;
  return !only.content.text.startsWith('#!') || POSIX_SHELLS.test(only.content.text.split('\n')[0] ?? '');
}

function commandOf(
  shell: SimpleCommand,
  run: RunView,
  positionAt: PlacedText['positionAt'],
): readonly Omit<Command, 'index'>[] {
  let words = shell.words;
  while (WRAPPERS.has(baseName(words[0]?.value ?? ''))) {
    words = words.slice(1);
    while (/^-|^[A-Za-z_]\w*=/.test(words[0]?.value ?? '')) words = words.slice(1);
  }
  const [first, ...rest] = words;
  if (first === undefined) return [];
  const command = (name: string, args: readonly string[], offset: number): Omit<Command, 'index'> => ({
    name,
    args,
    at: positionAt(offset),
    run,
    shell,
  });
  const name = baseName(first.value);
  const own = command(
    name,
    rest.map(({ value }) => value),
    first.offset,
  );
  // What sudo runs is judged as well.
  const inner = name === 'sudo' ? rest.findIndex(({ value }) => !/^-|^[A-Za-z_]\w*=/.test(value)) : -1;
  const behind = rest[inner];
  if (behind === undefined) return [own];
  const args = rest.slice(inner + 1).map(({ value }) => value);
  return [own, command(baseName(behind.value), args, behind.offset)];
}

export function baseName(word: string): string {
  return word.slice(word.lastIndexOf('/') + 1);
}
