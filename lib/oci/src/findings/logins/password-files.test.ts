import { describe, expect, it } from 'vitest';
import { MAX_PASSWORDS_OF_A_FILE, parseLoginAccounts, parsePasswords, passwordFileKind } from './password-files.ts';

const accountsOf = (kind: Parameters<typeof parsePasswords>[0], text: string): string[] =>
  parsePasswords(kind, text).map(({ account, kind: { name } }) => `${account}: ${name}`);

describe('passwordFileKind()', () => {
  it.each([
    ['etc/shadow', 'shadow'],
    ['etc/shadow-', 'shadow'],
    ['etc/passwd', 'passwd'],
    ['var/backups/shadow.bak', 'shadow'],
    ['etc/master.passwd', 'master.passwd'],
    ['srv/www/.htpasswd', 'htpasswd'],
    ['etc/nginx/htpasswd', 'htpasswd'],
    ['etc/nginx/site.htpasswd', 'htpasswd'],
    ['etc/shadowsocks', undefined],
    ['home/etc/shadow', undefined],
    ['usr/bin/passwd', undefined],
    ['usr/bin/htpasswd2', undefined],
  ])('knows %s as %s', (path, kind) => {
    expect(passwordFileKind(path)).toBe(kind);
  });
});

describe('parsePasswords()', () => {
  it.each<[what: string, kind: Parameters<typeof parsePasswords>[0], text: string, found: string[]]>([
    ['a hash', 'shadow', 'ada:$y$j9T$a$b:1:0:9:7:::', ['ada: yescrypt']],
    ['no password', 'shadow', 'root::1:0:9:7:::', ['root: no password']],
    ['locked accounts', 'shadow', 'a:*:1:0\nb:!:1:0\nc:!!:1:0\nd:!$6$a$b:1:0\ne:*LOCKED*:1:0', []],
    ['a hash in passwd', 'passwd', 'old:abJnggxhB/yWI:0:0::/:/bin/sh', ['old: descrypt']],
    ['no password in passwd', 'passwd', 'toor::0:0::/:/bin/sh', ['toor: no password']],
    ['x in passwd', 'passwd', 'root:x:0:0::/:/bin/sh', []],
    ['a file of a BSD', 'master.passwd', '# $FreeBSD$\nroot:$6$a$b:0:0::0:0:C:/root:/bin/csh', ['root: sha512crypt']],
    [
      'files of htpasswd',
      'htpasswd',
      'a:{SHA}xx=\nb:$apr1$a$b\nc:$2y$05$x',
      ['a: SHA-1 without salt', 'b: apr1', 'c: bcrypt'],
    ],
    ['NIS', 'passwd', '+::::::\n+@group::0:0:::', []],
    ['lines that are none', 'passwd', 'a\nb:\nc::\n:x:\n\n\n::::::', []],
    ['a hash longer than any', 'shadow', `a:$6$${'x'.repeat(400)}:1:0`, []],
  ])('reads %s', (_what, kind, text, found) => {
    expect(accountsOf(kind, text)).toEqual(found);
  });

  it('is bounded, and every truncation is read', () => {
    expect(parsePasswords('shadow', 'a::1:\n'.repeat(5000))).toHaveLength(MAX_PASSWORDS_OF_A_FILE);
    const text = 'root:$y$j9T$a$b:1:0:99999:7:::\nada:$6$a$b:1:0\n';
    for (let length = 0; length <= text.length; length += 1) {
      expect(parsePasswords('shadow', text.slice(0, length)).length).toBeLessThanOrEqual(2);
      expect(parseLoginAccounts('passwd', text.slice(0, length)).length).toBeLessThanOrEqual(2);
    }
  });
});

describe('parseLoginAccounts()', () => {
  it('says whom a shell waits for', () => {
    const text =
      'root:x:0:0::/root:/bin/bash\nwww:x:33:33::/:/usr/sbin/nologin\nempty:x:7:7::/:\nbad:x:-1:0::/:/bin/sh\n';
    expect(parseLoginAccounts('passwd', text).map(({ name, hasShell }) => [name, hasShell])).toEqual([
      ['root', true],
      ['www', false],
      ['empty', true],
    ]);
    expect(parseLoginAccounts('master.passwd', 'a:*:1:1::0:0:A:/:/usr/sbin/nologin')).toMatchObject([
      { hasShell: false },
    ]);
  });
});
