import { RingwallError } from '@ringwall/api';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkMachineName, checkMachineReference, freeName } from './names.ts';

function messageOf(name: string): string {
  try {
    checkMachineName(name);
    return 'accepted';
  } catch (error) {
    if (error instanceof RingwallError && error.code === 'name-invalid') return error.message;
    throw error;
  }
}

describe('checkMachineName()', () => {
  test.each(['a', 'web-1', 'a'.repeat(63)])('accepts %s', (name) => expect(messageOf(name)).toBe('accepted'));

  test.each([
    ['', '"" is no name: it is empty'],
    ['--help', '"--help" could be read as an option'],
    ['-', '"-" could be read as an option'],
    ['../x', '"../x" could be read as a path'],
    ['a/b', '"a/b" could be read as a path'],
    ['a\\b', '"a\\\\b" could be read as a path'],
    ['.', '"." could be read as a path'],
    ['Web', '"Web" has capital letters'],
    ['web-', '"web-" ends with a dash'],
    ['1web', '"1web" starts with a digit'],
    ['a b', '"a b" has characters that a name may not have'],
    ['a\u001b[31m', '"a\\u001b[31m" has characters that a name may not have'],
    ['wéb', '"w?b" has characters that a name may not have'],
    ['a'.repeat(300), `"${'a'.repeat(40)}…" is too long: 300 characters, at most 63`],
  ])('refuses %j with its reason', (name, message) => expect(messageOf(name)).toBe(message));

  test('whatever is accepted is neither a path nor an option, and the message is always one printable line', () => {
    const claim = fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (name) => {
      const message = messageOf(name);
      return message === 'accepted' ? /^[a-z]([a-z0-9-]*[a-z0-9])?$/.test(name) : /^[\u0020-\u007e…]+$/.test(message);
    });
    expect(fc.check(claim).failed).toBe(false);
  });
});

test('checkMachineReference() takes an id too, and nothing that looks like one', () => {
  checkMachineReference(`mch_${'a'.repeat(20)}`);
  expect(() => checkMachineReference('mch_../../etc')).toThrow(RingwallError);
});

test('freeName() counts from two', () => {
  expect(freeName('hello', new Set())).toBe('hello');
  expect(freeName('hello', new Set(['hello', 'hello-2']))).toBe('hello-3');
});
