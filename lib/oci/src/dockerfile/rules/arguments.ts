// Arguments of commands: which are options, which are what the command works on.
import type { Command, DockerfileView } from './view.ts';

/** Those with one of these names, and where `verbs` are given, with one of these as the first argument that is no option. */
export function commandsNamed(
  view: DockerfileView,
  names: readonly string[],
  verbs?: readonly string[],
): readonly Command[] {
  return view.commands.filter(
    (command) => names.includes(command.name) && (verbs === undefined || verbs.includes(verbOf(command) ?? '')),
  );
}

export function verbOf({ args }: Command): string | undefined {
  return args.find((arg) => !arg.startsWith('-'));
}

/** What is neither verb nor option; `withValue` are options whose value is the next argument. */
export function operandsOf({ args }: Command, withValue: readonly string[] = []): readonly string[] {
  const operands: string[] = [];
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? '';
    if (withValue.includes(arg)) index += 1;
    else if (!arg.startsWith('-')) operands.push(arg);
  }
  return operands.slice(1);
}

/** A long option as it is or with a value, a short one also among others (`-qy`). */
export function hasOption({ args }: Command, ...options: readonly string[]): boolean {
  return args.some((arg) =>
    options.some((option) => {
      if (option.startsWith('--')) return arg === option || arg.startsWith(`${option}=`);
      return /^-[A-Za-z0-9]+-?$/.test(arg) && arg.includes(option.slice(1));
    }),
  );
}

/** Whether a command of the same RUN, this one or a later one, is as asked. */
export function followedBy(command: Command, matches: (other: Command) => boolean): boolean {
  const { commands } = command.run;
  return commands.slice(command.index).some(matches);
}

/** `rm -rf` of a folder, or of what is in it. */
export function removes(command: Command, folder: string): boolean {
  return (
    command.name === 'rm' &&
    command.args.some(
      (arg) => arg.replace(/\/?\*?$/, '') === folder || folder.startsWith(`${arg.replace(/\/?\*?$/, '')}/`),
    ) &&
    hasOption(command, '-r', '-R', '-f', '--recursive')
  );
}

/** `--mount=type=cache,target=…` at the folder or above it: what is written there is in no layer. */
export function isCacheMount({ run }: Command, folder: string): boolean {
  return cacheTargets(run).some(
    (target) => target === folder || folder.startsWith(`${target}/`) || target.startsWith(`${folder}/`),
  );
}

/** The same at any folder whose path has this part: caches lie in a home, and whose it is the base image says. */
export function hasCacheMountWith({ run }: Command, part: string): boolean {
  return cacheTargets(run).some((target) => target.includes(part));
}

function cacheTargets({ instruction }: Command['run']): readonly string[] {
  return instruction.flags.flatMap(({ name, value }) => {
    if (name !== 'mount' || value === undefined || !/(?:^|,)type=(?:cache|tmpfs)(?:,|$)/.test(value)) return [];
    return [/(?:^|,)(?:target|dst|destination)=([^,]+)/.exec(value)?.[1]?.replace(/\/$/, '') ?? ''];
  });
}

/** Whether an ENV of this stage or of one below it sets the variable. */
export function hasEnvironment({ run, shell }: Command, name: string): boolean {
  const assigned = shell.assignments.some(({ text }) => text.startsWith(`${name}=`));
  const stages = run.stage?.lineage ?? [];
  return (
    assigned ||
    stages.some(({ instructions }) =>
      instructions.some(
        ({ keyword, words }) =>
          (keyword === 'ENV' || keyword === 'ARG') && words.some(({ text }) => text.split('=')[0] === name),
      ),
    )
  );
}
