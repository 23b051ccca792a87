// All commands of a script, wherever they stand.
import type { Pipeline, ShellList, ShellWord, SimpleCommand } from './nodes.ts';

/** In the order of the script; those in substitutions after the command whose word holds them. */
export function simpleCommands(list: ShellList): readonly SimpleCommand[] {
  return pipelinesOf(list).flatMap(({ commands }) => commands.filter((command) => command.type === 'command'));
}

export function pipelinesOf(list: ShellList): readonly Pipeline[] {
  return list.pipelines.flatMap((pipeline) => [
    pipeline,
    ...pipeline.commands.flatMap((command) => {
      const redirected = command.redirects.map(({ target }) => target);
      const bodies = command.type === 'compound' ? command.bodies : [];
      const words = command.type === 'compound' ? command.words : [...command.assignments, ...command.words];
      return [...bodies, ...substitutionsOf([...words, ...redirected])].flatMap((inner) => pipelinesOf(inner));
    }),
  ]);
}

function substitutionsOf(words: readonly ShellWord[]): readonly ShellList[] {
  return words.flatMap(({ substitutions }) => substitutions);
}
