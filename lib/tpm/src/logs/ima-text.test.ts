import { concatBytes, ParseError, toHex, utf8 } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attempt } from '../../testing/attempt.ts';
import {
  digestField,
  encodeIma,
  imaNg,
  nameField,
  sha,
  templateData,
  type TestImaEntry,
} from '../../testing/ima-list.ts';
import { MAX_IMA_LINE_BYTES, parseImaLine, readImaText } from './ima-text.ts';

const DIGEST = sha('sha256', utf8('file'));
const NG = digestField('sha256:', DIGEST);

/** As the kernel prints it; `fields` are the fields of `entry` as text. */
function line(entry: TestImaEntry, ...fields: readonly string[]): string {
  return `10 ${toHex(sha('sha1', templateData(entry)))} ${entry.template} ${fields.join(' ')}`;
}

describe('parseImaLine()', () => {
  const hex = toHex(DIGEST);
  test.each<[TestImaEntry, readonly string[]]>([
    [imaNg('/bin/sh', DIGEST), [`sha256:${hex}`, '/bin/sh']],
    [{ template: 'ima-sig', fields: [NG, nameField('/a'), Uint8Array.of(3, 2)] }, [`sha256:${hex}`, '/a', '0302']],
    [{ template: 'ima-sig', fields: [NG, nameField('/a'), new Uint8Array(0)] }, [`sha256:${hex}`, '/a', '']],
    [
      { template: 'ima-ngv2', fields: [digestField('ima:sha256:', DIGEST), nameField('/a')] },
      [`ima:sha256:${hex}`, '/a'],
    ],
    [{ template: 'ima-buf', fields: [NG, nameField('.ima'), Uint8Array.of(0x30)] }, [`sha256:${hex}`, '.ima', '30']],
    [
      { template: 'ima-modsig', fields: [NG, nameField('/m'), new Uint8Array(0), NG, Uint8Array.of(0x30)] },
      [`sha256:${hex}`, '/m', '', `sha256:${hex}`, '30'],
    ],
    [
      {
        template: 'd-ng|n-ng|iuid|imode',
        fields: [NG, nameField('/m'), Uint8Array.of(232, 3, 0, 0), Uint8Array.of(0xed, 0x81)],
      },
      [`sha256:${hex}`, '/m', '1000', '33261'],
    ],
  ])('a line of $template is the binary entry', (entry, fields) => {
    expect(parseImaLine(utf8(line(entry, ...fields)))).toEqual(encodeIma(entry));
  });

  test('a path that is no UTF-8 keeps its bytes', () => {
    const path = Uint8Array.of(0x2f, 0xff, 0x80);
    const entry = { template: 'ima-ng', fields: [NG, concatBytes(path, Uint8Array.of(0))] };
    const text = concatBytes(utf8(line(entry, `sha256:${toHex(DIGEST)}`, '')), path);
    expect(parseImaLine(text)).toEqual(encodeIma(entry));
  });

  test.each([
    ['nothing', ''],
    ['no PCR', 'xx 00 ima-ng sha256:00 /a'],
    ['a field too few', `10 ${'00'.repeat(20)} ima-ng sha256:00`],
    ['a field too many', `10 ${'00'.repeat(20)} ima-ng sha256:00 /a b`],
    ['an unknown template', `10 ${'00'.repeat(20)} ima-zz sha256:00 /a`],
    ['a digest that is no hex', `10 ${'zz'.repeat(20)} ima-ng sha256:00 /a`],
    ['a number that is none', `10 ${'00'.repeat(20)} d-ng|n-ng|iuid sha256:00 /a 1e3`],
    ['a number that is too large', `10 ${'00'.repeat(20)} d-ng|n-ng|imode sha256:00 /a 65536`],
  ])('refuses %s', (_, text) => {
    expect(() => parseImaLine(utf8(text))).toThrow(ParseError);
  });

  test('arbitrary lines throw only ParseError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, behindHead) => {
        const head = utf8(`10 ${'00'.repeat(20)} ima-sig `);
        expect(attempt(() => parseImaLine(behindHead ? concatBytes(head, bytes) : bytes))).toBeDefined();
      }),
    );
  });
});

describe('readImaText()', () => {
  const text = utf8(
    ['/a', '/b', '/c'].map((path) => `${line(imaNg(path, DIGEST), `sha256:${toHex(DIGEST)}`, path)}\n`).join(''),
  );

  test('gives the same entries whatever the chunks are', () => {
    const expected = ['/a', '/b', '/c'].map((path) => encodeIma(imaNg(path, DIGEST)));
    for (const size of [1, 3, 100, text.length]) {
      const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
        text.slice(at * size, at * size + size),
      );
      expect([...readImaText(chunks)]).toEqual(expected);
    }
  });

  test('refuses a last line without an end', () => {
    expect(() => [...readImaText([text.subarray(0, -1)])]).toThrow('and no end');
  });

  test('refuses a line that never ends, before it is kept whole', () => {
    const endless = function* (): Generator<Uint8Array> {
      for (;;) yield new Uint8Array(4096).fill(0x61);
    };
    expect(() => [...readImaText(endless())]).toThrow(`expected at most ${MAX_IMA_LINE_BYTES}`);
  });
});
