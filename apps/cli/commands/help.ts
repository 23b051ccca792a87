// `ringwall help`: the overview, or one command.
import { RingwallError } from '@ringwall/api/errors';
import type { Command } from '../command.ts';
import { COMMANDS, findCommand } from '../commands.ts';
import { helpDocument, renderCommandHelp, renderHelp } from '../help.ts';
import type { Invocation } from '../invocation.ts';
import { nearest } from '../parse.ts';
import type { Terminal } from '../terminal.ts';

export function run({ arguments: words, out, self, json }: Invocation): Promise<void> {
  const [name] = words;
  const command = name === undefined ? undefined : findCommand(name);
  if (name !== undefined && command === undefined) {
    const meant = nearest(
      name,
      COMMANDS.map((known) => known.name),
    );
    throw new RingwallError('bad-request', `there is no command ${JSON.stringify(name)}`, {
      hint: meant === undefined ? `see them all: ${self} help` : `did you mean: ${self} help ${meant}`,
    });
  }
  printHelp(out, self, json, command);
  return Promise.resolve();
}

export function printHelp(out: Terminal, self: string, json: boolean, command?: Command): void {
  if (json) {
    out.line(JSON.stringify(helpDocument(command), undefined, 2));
    return;
  }
  const lines = command === undefined ? renderHelp(out, self) : renderCommandHelp(out, command, self);
  for (const line of lines) out.line(line);
}
