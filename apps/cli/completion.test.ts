// The scripts are tried in the real shells, with a `ringwall` that answers what it is asked.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { optionsOf } from './command.ts';
import { COMMANDS } from './commands.ts';
import { renderCompletion, SHELLS } from './completion.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rw-complete-'));
  for (const shell of SHELLS) writeFileSync(join(directory, shell), renderCompletion(shell));
  writeFileSync(join(directory, 'ringwall'), '#!/bin/sh\n[ "$*" = "__complete machine" ] && printf "hello\\nweb\\n"\n');
  chmodSync(join(directory, 'ringwall'), 0o755);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const path = (shell: string): string | undefined =>
  [`/usr/bin/${shell}`, `/bin/${shell}`].find((file) => existsSync(file));

function bash(...words: string[]): string[] {
  const script = `source ${directory}/bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ringwall; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = spawnSync('/bin/bash', ['-c', script, 'bash', join(directory, 'ringwall'), ...words], {
    encoding: 'utf8',
  });
  return stdout.split('\n').filter((word) => word !== '');
}

describe('bash completion', () => {
  it('offers commands', () => {
    expect(bash('')).toEqual(COMMANDS.filter(({ hidden }) => hidden !== true).map(({ name }) => name));
    expect(bash('st')).toEqual(['start', 'stop']);
  });

  it('offers the options of a command', () => {
    expect(bash('logs', '--f')).toEqual(['--follow']);
    expect(bash('run', '--m')).toEqual(['--memory']);
  });

  it('offers machines that are there', () => {
    expect(bash('stop', '')).toEqual(['hello', 'web']);
    expect(bash('show', 'w')).toEqual(['web']);
  });

  it('offers nothing for a value that only the user knows', () => {
    expect(bash('run', '--name', '')).toEqual([]);
  });

  it('offers files and fixed words', () => {
    expect(bash('completion', 'z')).toEqual(['zsh']);
    expect(bash('prove', 'hello', '-o', join(directory, 'ba'))).toEqual([join(directory, 'bash')]);
  });
});

describe('completion scripts', () => {
  it.each(SHELLS)('of %s know every command and option', (shell) => {
    const script = renderCompletion(shell);
    for (const command of COMMANDS.filter(({ hidden }) => hidden !== true)) {
      expect(script).toContain(command.name);
      for (const { name } of optionsOf(command))
        expect(script).toContain(shell === 'fish' ? `-l ${name}` : `--${name}`);
    }
    expect(script).not.toContain('__complete\n');
    // No summary ends the quotes that it stands in.
    for (const line of script.split('\n').filter((each) => !each.startsWith('#'))) {
      expect(line.split("'").length % 2, line).toBe(1);
    }
  });

  for (const shell of SHELLS) {
    const file = path(shell);
    it.skipIf(file === undefined)(`of ${shell} parse${file === undefined ? ` (skipped: needs ${shell})` : ''}`, () => {
      const flag = shell === 'fish' ? '--no-execute' : '-n';
      expect(spawnSync(file ?? '', [flag, join(directory, shell)], { encoding: 'utf8' }).stderr).toBe('');
    });
  }
});
