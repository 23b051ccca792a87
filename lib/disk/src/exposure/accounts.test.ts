import { describe, expect, test } from 'vitest';
import { parseAccounts } from './accounts.ts';

describe('parseAccounts()', () => {
  test('joins passwd and shadow', () => {
    const passwd =
      'root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/zsh\ndaemon:x:1:1::/:/usr/sbin/nologin\n';
    const shadow = 'root:!:1::\nada:$y$j9T$a$b:1:0\ndaemon:*:1::\n';
    expect(
      parseAccounts(passwd, shadow).map(({ name, canLogIn, password }) => [name, canLogIn, password?.name]),
    ).toEqual([
      ['root', false, 'locked'],
      ['ada', true, 'yescrypt'],
      ['daemon', false, 'locked'],
    ]);
  });

  test('reads a hash that stands in passwd itself', () => {
    expect(parseAccounts('old:abJnggxhB/yWI:5:5::/:/bin/sh', undefined)[0]?.password?.name).toBe('descrypt');
  });

  test('says nothing of a password that no file holds', () => {
    expect(parseAccounts('a:x:5:5::/:/bin/sh', undefined)[0]).toMatchObject({ password: undefined, canLogIn: true });
  });

  test('passes over lines that are none', () => {
    expect(parseAccounts('\n:x:0\na:x\nb:x:many:0::/:\n\0\0\nc:x:3:3:::/bin/sh', '').map(({ name }) => name)).toEqual([
      'c',
    ]);
  });
});
