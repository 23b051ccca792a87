import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePunycode, encodePunycode } from './punycode.ts';

describe('punycode', () => {
  // Samples of RFC 3492 section 7.1, in lower case, and two that everybody knows.
  it.each([
    ['ليهمابتكلموشعربي؟', 'egbpdaj6bu4bxfgehfvwxn'],
    ['他们为什么不说中文', 'ihqwcrb4cv8a8dqg056pqjye'],
    ['pročprostěnemluvíčesky', 'proprostnemluvesky-uyb24dma41a'],
    ['3年b組金八先生', '3b-ww4c5e180e575a65lsy2b'],
    ['bücher', 'bcher-kva'],
    ['☃', 'n3h'],
    ['🐳', '7o8h'],
  ])('%s is %s', (label, encoded) => {
    expect(encodePunycode(label)).toBe(encoded);
    expect(decodePunycode(encoded)).toBe(label);
  });

  it.each(['!', 'bcher-KVA', 'zzzzzzzz', '99999999', 'é', ' '.repeat(70)])('refuses “%s”', (encoded) => {
    expect(decodePunycode(encoded)).toBeUndefined();
  });

  it('gives back any label that it encodes, and decodes any text to what encodes to it', () => {
    assert(
      property(string({ unit: constantFrom(...Array.from('az09-éя漢🐳\u0080\u{10ffff}')), maxLength: 12 }), (label) => {
        const encoded = encodePunycode(label);
        const decoded = decodePunycode(label);
        const there = encoded === undefined || /^\p{ASCII}*$/u.test(label) || decodePunycode(encoded) === label;
        return there && (decoded === undefined || encodePunycode(decoded) === label);
      }),
    );
  });
});
