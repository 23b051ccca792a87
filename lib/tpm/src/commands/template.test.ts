import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fillTemplate, joinParts, slot, slotsOf, templateLength } from './template.ts';
import { TpmError } from '../tpm-error.ts';

const TEMPLATE = [Uint8Array.of(1), slot('digest', 2), Uint8Array.of(9), slot('handle', 1), slot('digest', 2)];

describe('fillTemplate()', () => {
  test('puts each value into every hole of its name', () => {
    const filled = fillTemplate(TEMPLATE, { digest: Uint8Array.of(2, 3), handle: Uint8Array.of(4) });
    expect(filled).toEqual(Uint8Array.of(1, 2, 3, 9, 4, 2, 3));
  });

  test.each<[string, Record<string, Uint8Array>, string]>([
    ['a missing value', { digest: new Uint8Array(2) }, 'slot handle has no value'],
    ['a short value', { digest: new Uint8Array(1), handle: new Uint8Array(1) }, 'slot digest has 1 bytes, expected 2'],
    ['a long value', { digest: new Uint8Array(3), handle: new Uint8Array(1) }, 'slot digest has 3 bytes, expected 2'],
    [
      'an unknown value',
      { digest: new Uint8Array(2), handle: new Uint8Array(1), other: new Uint8Array(1) },
      'slot other is unknown, expected digest, handle',
    ],
    ['a value that objects inherit', { digest: new Uint8Array(2) }, 'slot handle has no value'],
  ])('refuses %s', (_, values, message) => {
    expect(() => fillTemplate(TEMPLATE, values)).toThrow(TpmError);
    expect(() => fillTemplate(TEMPLATE, values)).toThrow(message);
  });

  test('gives exactly as many bytes as templateLength() said', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.uint8Array({ maxLength: 5 }), fc.integer({ min: 1, max: 5 }))), (parts) => {
        const template = joinParts(...parts.map((part, i) => (typeof part === 'number' ? slot(`s${i}`, part) : part)));
        const values = Object.fromEntries([...slotsOf(template)].map(([name, bytes]) => [name, new Uint8Array(bytes)]));
        expect(fillTemplate(template, values)).toHaveLength(templateLength(template));
      }),
    );
  });
});

describe('slot()', () => {
  test.each(['', 'Upper', '1st', 'a-b', 'a b', 'a;b', '$a', '_a'])('refuses the name %j', (name) => {
    expect(() => slot(name, 1)).toThrow(TpmError);
  });

  test.each([0, -1, 1.5])('refuses %s bytes', (bytes) => {
    expect(() => slot('a', bytes)).toThrow(TpmError);
  });
});

test('slotsOf() refuses one name with two lengths', () => {
  expect(() => slotsOf([slot('a', 1), slot('a', 2)])).toThrow('slot a has 2 bytes, expected 1 as before');
});
