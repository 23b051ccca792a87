import { describe, expect, it } from 'vitest';
import { optionsOf } from './command.ts';
import { COMMANDS } from './commands.ts';
import { helpDocument, renderCommandHelp } from './help.ts';
import { parseCommandLine } from './parse.ts';
import { Terminal } from './terminal.ts';

const pipe = new Terminal({ write: () => true }, {});

describe('the table of commands', () => {
  it('has the commands that the README promises', () => {
    const names = COMMANDS.filter(({ hidden }) => hidden !== true).map(({ name }) => name);
    expect(names.toSorted()).toEqual(
      [
        ...[
          'completion',
          'console',
          'disk',
          'disks',
          'doctor',
          'down',
          'drill',
          'help',
          'advisories',
          'approvals',
          'approve',
          'backups',
          'clone',
          'template',
          'image',
          'images',
          'install',
          'logs',
          'ls',
          'metrics',
          'prove',
          'key',
          'readmit',
          'reference',
          'restore',
          'rm',
          'run',
          'snapshot',
        ],
        ...['allow', 'deny', 'label', 'net', 'network'],
        ...['keygen', 'open', 'scrub', 'seal'],
        ...['setup', 'show', 'start', 'stop', 'uninstall', 'up', 'verify', 'version', 'why'],
      ].toSorted(),
    );
  });

  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    '%s has options of one meaning',
    (_, command) => {
      const options = optionsOf(command);
      const spellings = options.flatMap(({ name, short }) => (short === undefined ? [name] : [name, short]));
      expect(new Set(spellings).size).toBe(spellings.length);
      expect(options.filter(({ short }) => short !== undefined && short.length !== 1)).toEqual([]);
    },
  );

  it.each(COMMANDS.flatMap(({ name, examples }) => examples.map(({ line }) => [line, name] as const)))(
    'the example `%s` parses as %s',
    (line, name) => {
      const [shellWords = ''] = line.split(/ [<>] /);
      expect(parseCommandLine(shellWords.split(' '), 'ringwall')).toMatchObject({ kind: 'run', command: { name } });
    },
  );

  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    '%s has an implementation',
    async (_, command) => {
      expect(await command.load()).toMatchObject({ run: expect.any(Function) });
    },
  );

  it.each(COMMANDS.map((command) => [command.name, command] as const))('%s --help shows an example', (_, command) => {
    const help = renderCommandHelp(pipe, command, './ringwall').join('\n');
    expect(help).toContain(`./ringwall ${command.examples[0]?.line ?? 'no example'}`);
    expect(help).toContain('Exit codes');
    expect(help).toContain('--json');
  });

  it('helpDocument() is JSON without functions', () => {
    const document = JSON.stringify(helpDocument());
    expect(document).toContain('"usage":"run [IMAGE]"');
    expect(document).not.toContain('__complete');
    expect(JSON.parse(document)).toEqual(helpDocument());
  });
});
