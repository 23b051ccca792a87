// Help, completion and version: their commands, as data.
import type { Command } from '../command.ts';

export const MORE_COMMANDS: readonly Command[] = [
  {
    name: 'completion',
    group: 'More',
    summary: 'print a completion script for your shell',
    arguments: [{ name: 'SHELL', complete: ['bash', 'zsh', 'fish'] }],
    examples: [
      { line: 'completion bash > /etc/bash_completion.d/ringwall', says: 'for every user' },
      { line: 'completion fish > ~/.config/fish/completions/ringwall.fish', says: 'for you' },
    ],
    load: () => import('../commands/completion.ts'),
  },
  {
    name: 'version',
    group: 'More',
    summary: 'say which Ringwall this is',
    examples: [{ line: 'version', says: '' }],
    load: () => import('../commands/version.ts'),
  },
  {
    name: 'help',
    group: 'More',
    summary: 'explain a command, or list them all',
    arguments: [{ name: 'COMMAND', optional: true, complete: 'none' }],
    examples: [{ line: 'help run', says: 'the same as `run --help`' }],
    load: () => import('../commands/help.ts'),
  },
  {
    name: '__complete',
    group: 'More',
    hidden: true,
    summary: 'print what a shell may offer for a value, one a line',
    arguments: [{ name: 'KIND', complete: ['machine', 'image', 'drill'] }],
    examples: [{ line: '__complete machine', says: '' }],
    load: () => import('../commands/complete.ts'),
  },
];
