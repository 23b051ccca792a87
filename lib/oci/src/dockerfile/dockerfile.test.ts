import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OciError } from '../oci-error.ts';
import { parseDockerfile } from './dockerfile.ts';
import type { Instruction } from './instruction.ts';
import { MAX_DOCKERFILE_CHARACTERS } from './logical-lines.ts';

const only = (source: string): Instruction => {
  const [instruction] = parseDockerfile(source).instructions;
  if (instruction === undefined) throw new Error('no instruction');
  return instruction;
};
const wordsOf = (instruction: Instruction): string[] => instruction.words.map(({ text }) => text);

describe('parseDockerfile()', () => {
  it('reads stages, their names, platforms and bases', () => {
    const { stages, preamble } = parseDockerfile(
      [
        'ARG VERSION=3.22',
        'ARG BASE=alpine:${VERSION}',
        'FROM --platform=$BUILDPLATFORM ${BASE} AS Build',
        'RUN make',
        'FROM build as test',
        'FROM nginx@sha256:0123',
        'FROM $UNKNOWN',
      ].join('\n'),
    );
    expect(preamble.length).toBe(2);
    expect(stages.map(({ name, baseImage, baseStage, platform }) => [name, baseImage, baseStage, platform])).toEqual([
      ['build', 'alpine:3.22', undefined, '$BUILDPLATFORM'],
      ['test', 'build', 0, undefined],
      [undefined, 'nginx@sha256:0123', undefined, undefined],
      [undefined, undefined, undefined, undefined],
    ]);
    expect(stages[0]?.instructions.map(({ keyword }) => keyword)).toEqual(['RUN']);
  });

  it('joins continued lines, leaves comments between them out, and knows where each word stood', () => {
    const { words, rest, lastLine } = only(
      'RUN apt-get update \\\n  # why\n\n  && apt-get install \\  \n    curl\nRUN x',
    );
    expect(rest.text).toBe('apt-get update   && apt-get install     curl');
    expect(words.map(({ text, at }) => [text, at.line, at.column])).toEqual([
      ['apt-get', 1, 5],
      ['update', 1, 13],
      ['&&', 4, 3],
      ['apt-get', 4, 6],
      ['install', 4, 14],
      ['curl', 5, 5],
    ]);
    expect(lastLine).toBe(5);
  });

  it('an escaped backslash at the end of a line continues nothing', () => {
    expect(parseDockerfile('RUN a \\\\\nUSER b').instructions.length).toBe(2);
  });

  it('obeys directives, at the top alone', () => {
    const { directives, instructions } = parseDockerfile(
      '# syntax=docker/dockerfile:1\n# escape=`\n# a comment\nRUN a `\n b\n',
    );
    expect(directives).toEqual({ syntax: 'docker/dockerfile:1', check: undefined, escape: '`' });
    expect(instructions.length).toBe(1);
    expect(parseDockerfile('# a\n# escape=`\nRUN a').directives.escape).toBe('\\');
  });

  it('tells the JSON form from the shell form', () => {
    expect(only('CMD ["a", "b \\" c"]')).toMatchObject({ form: 'json', words: [{ text: 'a' }, { text: 'b " c' }] });
    expect(only('CMD ["a", \'b\']').form).toBe('shell');
    expect(only('CMD ["a", 1]').form).toBe('shell');
    expect(only('CMD ["a", "b"]').words[1]?.at).toEqual({ line: 1, column: 11 });
  });

  it('reads flags', () => {
    const { flags, words } = only('RUN --mount=type=cache,target="/a b" --network=none --security=insecure make');
    expect(flags.map(({ name, value }) => [name, value])).toEqual([
      ['mount', 'type=cache,target=/a b'],
      ['network', 'none'],
      ['security', 'insecure'],
    ]);
    expect(words.map(({ text }) => text)).toEqual(['make']);
    expect(only('COPY --link --from=build /a /b').flags.map(({ value }) => value)).toEqual([undefined, 'build']);
    expect(wordsOf(only('CMD --not-a-flag'))).toEqual(['--not-a-flag']);
  });

  it('reads heredocs, several of them, and where their lines stood', () => {
    const { instructions } = parseDockerfile(
      'COPY <<a <<-"b" /x/\n$one\na\n\t\ttwo\n\tb\nRUN <<EOF\nset -e\nmake\nEOF\nUSER x',
    );
    expect(instructions.map(({ keyword }) => keyword)).toEqual(['COPY', 'RUN', 'USER']);
    expect(instructions[0]?.heredocs.map(({ name, expands, content }) => [name, expands, content.text])).toEqual([
      ['a', true, '$one\n'],
      ['b', false, 'two\n'],
    ]);
    expect(instructions[0]?.heredocs[1]?.content.positionAt(1)).toEqual({ line: 4, column: 4 });
    expect(instructions[1]?.heredocs[0]?.content.positionAt(8)).toEqual({ line: 8, column: 2 });
  });

  it('reads what ONBUILD and HEALTHCHECK hold', () => {
    expect(only('ONBUILD RUN ["make"]').inner).toMatchObject({
      keyword: 'RUN',
      form: 'json',
      at: { line: 1, column: 9 },
    });
    expect(only('HEALTHCHECK --interval=5s CMD curl -f x').inner).toMatchObject({ keyword: 'CMD' });
    expect(only('HEALTHCHECK NONE').inner).toBeUndefined();
    // What the builder refuses there is for the rules to say; it is not followed further.
    expect(only('ONBUILD ONBUILD ONBUILD RUN a').inner?.inner).toBeUndefined();
  });

  it('takes carriage returns, a byte order mark, small letters and quoted words', () => {
    expect(wordsOf(only('\ufeffenv A="b c" D=e\\ f\r\n'))).toEqual(['A="b c"', 'D=e\\ f']);
  });

  it.each([
    ['nothing', ''],
    ['comments alone', '# a\n# b'],
    ['an unknown instruction', 'FROM a\nRUNN b'],
    ['a FROM without image', 'FROM'],
    ['a heredoc without end', 'RUN <<EOF\na'],
    ['ONBUILD of nothing', 'ONBUILD'],
    ['a variable that is none', 'FROM ${'],
    ['too many characters', `FROM a\n#${' '.repeat(MAX_DOCKERFILE_CHARACTERS)}`],
    ['too many instructions', 'RUN a\n'.repeat(5001)],
    ['too many stages', 'FROM a\n'.repeat(501)],
    ['too many heredocs', `RUN ${'<<a '.repeat(65)}\n${'a\n'.repeat(65)}`],
  ])('refuses %s', (_what, source) => {
    expect(() => parseDockerfile(source)).toThrow(OciError);
  });

  it.each(['\\\n', 'RUN a \\\n', '# a\n', 'RUN --a ', 'RUN <<E\n', 'ARG a=$a\n', 'ENV "', '[', 'ONBUILD '])(
    'takes much of “%s” in no more time than it deserves',
    (unit) => {
      const outcome = outcomeOf(`FROM a\n${unit.repeat(15_000)}`);
      expect(['read', 'refused']).toContain(outcome);
    },
  );

  it('throws only OciError on any text', () => {
    const unit = constantFrom(
      'FROM a',
      'RUN ',
      'ARG ',
      '\n',
      '\\',
      '<<E',
      'E',
      '[',
      '"',
      '$',
      '{',
      '}',
      '#',
      ' ',
      '--x=',
      'a',
      ':-',
    );
    assert(
      property(string({ unit, maxLength: 25 }), (source) => ['read', 'refused'].includes(outcomeOf(source))),
      { numRuns: 2000 },
    );
  });
});

function outcomeOf(source: string): 'read' | 'refused' {
  try {
    parseDockerfile(source);
    return 'read';
  } catch (error) {
    if (error instanceof OciError) return 'refused';
    throw error;
  }
}
