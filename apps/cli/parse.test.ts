import { RingwallError } from '@ringwall/api/errors';
import { array, assert, constantFrom, oneof, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { optionsOf } from './command.ts';
import { COMMANDS } from './commands.ts';
import { nearest, parseCommandLine } from './parse.ts';

function parse(line: string): ReturnType<typeof parseCommandLine> {
  return parseCommandLine(
    line.split(' ').filter((word) => word !== ''),
    'ringwall',
  );
}

function errorOf(argv: readonly string[]): unknown {
  try {
    parseCommandLine(argv, 'ringwall');
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('parseCommandLine()', () => {
  it('takes options before, between and after the arguments', () => {
    for (const line of ['run hello --name web --json', 'run --json --name web hello', 'run --name=web hello --json']) {
      expect(parse(line), line).toMatchObject({ kind: 'run', arguments: ['hello'], json: true });
    }
  });

  it('knows short options, also joined with their value', () => {
    expect(parse('prove hello -o x.json')).toMatchObject({ values: new Map([['output', 'x.json']]) });
    expect(parse('prove hello -ox.json')).toMatchObject({ values: new Map([['output', 'x.json']]) });
    expect(parse('logs -f hello')).toMatchObject({ flags: new Set(['follow']), arguments: ['hello'] });
  });

  it('takes - as a value, and what begins with a dash only when it is joined by =', () => {
    expect(parse('prove hello -o -')).toMatchObject({ values: new Map([['output', '-']]) });
    expect(() => parse('run hello --name --json')).toThrow('--name needs a value');
    expect(parse('run hello --name=--json')).toMatchObject({ values: new Map([['name', '--json']]) });
  });

  it('after -- all are arguments', () => {
    expect(parse('rm -- --force')).toMatchObject({ arguments: ['--force'], flags: new Set() });
  });

  it.each([
    ['', 'help'],
    ['--help', 'help'],
    ['-h', 'help'],
    ['run --help', 'help'],
    ['run hello -h', 'help'],
    ['--version', 'run'],
    ['-V', 'run'],
  ])('%j is %s', (line, kind) => {
    expect(parse(line).kind).toBe(kind);
  });

  it('help wins over what is missing', () => {
    expect(parse('show --help')).toMatchObject({ kind: 'help', command: { name: 'show' } });
  });

  it('throws only usage errors, whatever is typed', () => {
    const words = COMMANDS.flatMap((command) => [command.name, ...optionsOf(command).map(({ name }) => `--${name}`)]);
    const word = oneof(constantFrom(...words, '-', '--', '-f', '-o', '--x=y', '--__proto__'), string());
    assert(
      property(array(word, { maxLength: 6 }), (argv) => {
        expect(errorOf(argv)).toSatisfy(
          (error) =>
            error === undefined ||
            (error instanceof RingwallError && error.code === 'bad-request' && error.hint !== undefined),
        );
      }),
      { numRuns: 500 },
    );
  });
});

describe('nearest()', () => {
  const names = COMMANDS.map(({ name }) => name);
  it.each([
    ['rnu', 'run'],
    ['consle', 'console'],
    ['stp', 'stop'],
    ['verfiy', 'verify'],
    ['docotr', 'doctor'],
    ['frobnicate', undefined],
    ['', undefined],
    ['zz', undefined],
  ])('of %j is %j', (typed, meant) => {
    expect(nearest(typed, names)).toBe(meant);
  });
});
