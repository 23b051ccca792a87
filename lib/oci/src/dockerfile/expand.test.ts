import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OciError } from '../oci-error.ts';
import { expandWord } from './expand.ts';

const VARIABLES = new Map([
  ['x', 'value'],
  ['empty', ''],
  ['path', 'a/b/c.tar.gz'],
]);

describe('expandWord()', () => {
  it.each([
    ['$x', 'value'],
    ['${x}s', 'values'],
    ['$xs', undefined],
    ['"$x"', 'value'],
    ["'$x'", '$x'],
    ['\\$x', '$x'],
    ['"a\\b"', 'a\\b'],
    ['$', '$'],
    ['${none}', undefined],
    ['${none:-d}', 'd'],
    ['${none-d}', 'd'],
    ['${empty:-d}', 'd'],
    ['${empty-d}', ''],
    ['${x:-$none}', 'value'],
    ['${none:-${x}!}', 'value!'],
    ['${x:+s}', 's'],
    ['${empty:+s}', ''],
    ['${empty+s}', 's'],
    ['${none+s}', ''],
    ['${x:?must}', 'value'],
    ['${none:?must}', undefined],
    ['${path#*/}', 'b/c.tar.gz'],
    ['${path##*/}', 'c.tar.gz'],
    ['${path%.*}', 'a/b/c.tar'],
    ['${path%%.*}', 'a/b/c'],
    ['${x#?}', 'alue'],
    ['${path/b/X}', 'a/X/c.tar.gz'],
    ['${x//[ae]/-}', 'value'],
    ['${x//a/-}', 'v-lue'],
  ])('%s is %s', (word, value) => {
    expect(expandWord(word, VARIABLES).value).toBe(value);
  });

  it('says which variables had no value', () => {
    expect(expandWord('$a-${b}-$x', VARIABLES).unknown).toEqual(['a', 'b']);
  });

  it.each(['${', '${}', '${x!y}', '${-x}', '${a:-'.repeat(40) + '}'.repeat(40)])('refuses %s', (word) => {
    expect(() => expandWord(word, VARIABLES)).toThrow(OciError);
  });

  it('bounds what values can grow to, and how long a pattern can take', () => {
    const long = new Map([
      ['x', 'a'.repeat(4000)],
      ['huge', 'a'.repeat(5000)],
    ]);
    expect(() => expandWord('$x'.repeat(20), long)).toThrow(/more than 65536/);
    expect(() => expandWord('${huge#a}', long)).toThrow(OciError);
    expect(expandWord(`\${x%%${'*a'.repeat(100)}b}`, long).value?.length).toBe(4000);
  });

  it('throws only OciError on any word', () => {
    const unit = constantFrom('$', '{', '}', 'x', ':-', '#', '%', '/', '*', '"', "'", '\\', 'none');
    assert(
      property(string({ unit, maxLength: 16 }), (word) => {
        try {
          return expandWord(word, VARIABLES).unknown.length >= 0;
        } catch (error) {
          return error instanceof OciError;
        }
      }),
      { numRuns: 1500 },
    );
  });
});
