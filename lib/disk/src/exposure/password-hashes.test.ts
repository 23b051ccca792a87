import { expect, test } from 'vitest';
import { passwordKind } from './password-hashes.ts';

test.each([
  ['', 'no password', 'empty'],
  ['!', 'locked', 'locked'],
  ['!!', 'locked', 'locked'],
  ['*', 'locked', 'locked'],
  ['!*', 'locked', 'locked'],
  ['x', 'locked', 'locked'],
  ['$y$j9T$salt$hash', 'yescrypt', 'strong'],
  ['$2b$12$abcdefghijklmnopqrstuv', 'bcrypt', 'strong'],
  ['$6$salt$hash', 'sha512crypt', 'fair'],
  // Locked by usermod -L: the hash can still be guessed, and used elsewhere.
  ['!$6$salt$hash', 'sha512crypt', 'fair'],
  ['$1$salt$hash', 'md5crypt', 'weak'],
  ['$3$$8846f7eaee8fb117ad06bdd830b7586c', 'NT hash', 'broken'],
  ['abJnggxhB/yWI', 'descrypt', 'broken'],
  ['rubbish', 'no hash that is known', 'locked'],
])('passwordKind(%j) is %s, %s', (field, name, strength) => {
  expect(passwordKind(field)).toEqual({ name, strength });
});
