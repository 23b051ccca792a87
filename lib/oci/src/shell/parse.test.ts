import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OciError } from '../oci-error.ts';
import { MAX_SHELL_DEPTH, parseShell } from './parse.ts';
import { pipelinesOf, simpleCommands } from './walk.ts';

const wordsOf = (source: string): string[][] =>
  simpleCommands(parseShell(source)).map(({ words }) => words.map(({ value }) => value));

describe('parseShell()', () => {
  it.each<[what: string, source: string, commands: string[][]]>([
    ['a command', 'apt-get install -y curl', [['apt-get', 'install', '-y', 'curl']]],
    ['lists', 'a && b || c; d & e', [['a'], ['b'], ['c'], ['d'], ['e']]],
    ['lines', 'a\n\n# no command\nb # nor this\nc', [['a'], ['b'], ['c']]],
    ['quotes', `echo 'a b' "c \\"d\\" $e" f\\ g $'h'`, [['echo', 'a b', 'c "d" $e', 'f g', 'h']]],
    ['joined lines', 'apt-get \\\n  update', [['apt-get', 'update']]],
    [
      'pipelines',
      'curl -s x | sudo sh',
      [
        ['curl', '-s', 'x'],
        ['sudo', 'sh'],
      ],
    ],
    ['negation', '! false', [['false']]],
    ['assignments', 'A=1 B="2 3" cmd x=y', [['cmd', 'x=y']]],
    ['arrays', 'a=(1 "2 3") && b', [[], ['b']]],
    ['a subshell', '(cd /a && make)', [['cd', '/a'], ['make']]],
    ['a group', '{ a; b; }', [['a'], ['b']]],
    ['if', 'if a; then b; elif c; then d; else e; fi', [['a'], ['b'], ['c'], ['d'], ['e']]],
    [
      'while',
      'while read -r x; do echo "$x"; done < f',
      [
        ['read', '-r', 'x'],
        ['echo', '$x'],
      ],
    ],
    ['for', 'for i in a b $(ls); do rm $i; done', [['rm', '$i'], ['ls']]],
    ['for of bash', 'for ((i=0; i<3; i++)); do a; done', [['a']]],
    [
      'case',
      'case "$(uname -m)" in x86_64|amd64) a ;; (arm*) b;; *) exit 1 ;; esac',
      [['a'], ['b'], ['exit', '1'], ['uname', '-m']],
    ],
    ['tests', '[[ -f a && $b == c* || ( -z d ) ]] && e', [['e']]],
    ['functions', 'f() { a; }; function g { b; }; f', [['a'], ['b'], ['f']]],
    ['substitutions', 'echo $(a "$(b)") `c d`', [['echo', '$(a "$(b)")', '`c d`'], ['a', '$(b)'], ['b'], ['c', 'd']]],
    [
      'processes',
      'bash <(curl x)',
      [
        ['bash', '<(curl x)'],
        ['curl', 'x'],
      ],
    ],
    ['arithmetic', 'echo $((1 + (2 * 3))) && ((x++))', [['echo', '$((1 + (2 * 3)))']]],
    ['parameters', 'echo ${a:-${b}c} "${d%%*}" $1', [['echo', '${a:-${b}c}', '${d%%*}', '$1']]],
    ['redirections', 'a >/dev/null 2>&1 <in >>log', [['a']]],
    ['a here-document', 'cat <<EOF > f\n$(no command)\nEOF\nb', [['cat'], ['b']]],
    ['a here-string', 'read x <<< "$y"', [['read', 'x']]],
    ['a hash within a word', 'echo a#b', [['echo', 'a#b']]],
    ['nothing', '', []],
    ['keywords as arguments', 'echo if then fi', [['echo', 'if', 'then', 'fi']]],
  ])('reads %s', (_what, source, commands) => {
    expect(wordsOf(source)).toEqual(commands);
  });

  it('keeps bodies of here-documents, and what joins commands', () => {
    const [pipeline, next] = pipelinesOf(parseShell('cat <<-E | sh && x\n\ta\n\tE\ny'));
    expect(pipeline?.commands[0]?.redirects[0]).toMatchObject({ operator: '<<-', body: 'a' });
    expect(pipeline?.commands.length).toBe(2);
    expect([pipeline?.joined, next?.joined]).toEqual(['&&', ';']);
  });

  it('knows where each word stood, in substitutions too', () => {
    const source = 'echo "$(curl x)" && wget y';
    const words = simpleCommands(parseShell(source)).flatMap((command) => command.words);
    expect(words.map(({ offset }) => source.slice(offset, offset + 4))).toEqual([
      'echo',
      '"$(c',
      'curl',
      'x)" ',
      'wget',
      'y',
    ]);
  });

  it('tells words that are fixed from those that depend on the run', () => {
    const [command] = simpleCommands(parseShell('echo a $b "$(c)" \'$d\' \\$e'));
    expect(command?.words.map(({ fixed }) => fixed)).toEqual([true, true, false, false, true, true]);
  });

  it.each([
    ['a quote without end', "echo 'a"],
    ['a double quote without end', 'echo "a'],
    ['a backquote without end', 'echo `a'],
    ['a substitution without end', 'echo $(a'],
    ['a parameter without end', 'echo ${a'],
    ['a subshell without end', '(a'],
    ['an if without end', 'if a; then b'],
    ['a redirection to nowhere', 'a >'],
    ['an operator without command', '&& a'],
    ['a pipe to nothing', 'a |'],
    ['a parenthesis too many', 'a )'],
    ['a test without end', '[[ a'],
    ['a case without end', 'case a in b) c'],
    ['too many commands', 'a;'.repeat(2001)],
    ['too many commands in substitutions', `echo ${'$(a;b)'.repeat(1000)}`],
  ])('refuses %s', (_what, source) => {
    expect(() => parseShell(source)).toThrow(OciError);
  });

  it.each([
    ['subshells', '('],
    ['substitutions', '$('],
    ['quoted substitutions', '"$('],
    ['groups', '{ '],
    ['ifs', 'if '],
    ['functions', 'f() '],
    ['loops', 'while '],
  ])('refuses %s beyond the depth, and is no stack overflow', (_what, opening) => {
    expect(() => parseShell(opening.repeat(MAX_SHELL_DEPTH + 1))).toThrow(OciError);
    expect(() => parseShell(opening.repeat(100_000))).toThrow(OciError);
  });

  it.each(['$((a) )', '${a', 'a;', '<(a) ', "$'a'", '((1)) ', 'a |', '<<E ', '# a\n', 'case x in a) ;; esac;', '\\\n'])(
    'takes much of “%s” in no more time than it deserves',
    (unit) => {
      expect(['read', 'refused']).toContain(outcomeOf(unit.repeat(20_000)));
    },
  );

  it('throws only OciError on any text', () => {
    const unit = constantFrom(
      ...Array.from('ab $`"\'\\\n;&|(){}<>#=!*['),
      '$(',
      '${',
      '<<E\n',
      'if ',
      'then ',
      'fi',
      'case ',
      ' in ',
      'esac',
      ';;',
      '[[',
      ']]',
    );
    assert(
      property(string({ unit, maxLength: 30 }), (source) => {
        return ['read', 'refused'].includes(outcomeOf(source));
      }),
      { numRuns: 3000 },
    );
  });
});

function outcomeOf(source: string): 'read' | 'refused' {
  try {
    simpleCommands(parseShell(source));
    return 'read';
  } catch (error) {
    if (error instanceof OciError) return 'refused';
    throw error;
  }
}
