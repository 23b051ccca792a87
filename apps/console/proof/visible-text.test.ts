import { describe, expect, it } from 'vitest';
import { visibleText } from './visible-text.ts';

describe('visibleText()', () => {
  it.each([
    ['leaves plain text alone', 'alpha-1 (Ωmega, Привет, 日本, עברית, 👍)', 'alpha-1 (Ωmega, Привет, 日本, עברית, 👍)'],
    ['leaves markup alone: the page makes text of it', '<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
    ['writes out what turns the order of text', 'a\u202egnp.exe', 'a[U+202E]gnp.exe'],
    ['writes out isolates', '\u2066x\u2069', '[U+2066]x[U+2069]'],
    ['writes out what has no width', 'a\u200bb\ufeffc', 'a[U+200B]b[U+FEFF]c'],
    ['writes out fillers that look like nothing', 'a\u3164\u115fb', 'a[U+3164][U+115F]b'],
    ['writes out control characters and line separators', 'a\u0007\u2028\n', 'a[U+0007][U+2028][U+000A]'],
    ['writes out tags that nobody sees', 'a\u{e0041}', 'a[U+E0041]'],
    ['writes out half a character', 'a\ud800b', 'a[U+D800]b'],
    ['makes odd spaces plain', 'a\u00a0b\u2003c', 'a b c'],
    ['keeps accents, but not towers of them', `e\u0301 z${'\u0301'.repeat(60)}`, `e\u0301 z${'\u0301'.repeat(4)}[…]`],
  ])('%s', (_claim, text, shown) => {
    expect(visibleText(text)).toBe(shown);
  });
});
