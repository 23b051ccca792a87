// How the checks of most rules are written: those commands that are so and so.
import { operandsOf } from './arguments.ts';
import type { Flaw } from './rule.ts';
import type { Command } from './view.ts';

/** Commands that name packages without what fixes their version. */
export function* unpinned(
  commands: readonly Command[],
  values: readonly string[],
  isPinned: (name: string) => boolean,
  how: string,
): Iterable<Flaw> {
  for (const command of commands) {
    const names = operandsOf(command, values).filter((name) => !isPinned(name) && !name.startsWith('$'));
    if (names.length > 0)
      yield { at: command.at, detail: `no version of ${names.join(', ')}`, fix: `${names[0]}${how}` };
  }
}

export function* those(
  commands: readonly Command[],
  is: (command: Command) => boolean,
  fix?: (command: Command) => string,
): Iterable<Flaw> {
  for (const command of commands) {
    if (is(command)) yield fix === undefined ? { at: command.at } : { at: command.at, fix: fix(command) };
  }
}
