import { describe, expect, it } from 'vitest';
import { judgeMade, makeImage, type MadeImage } from '../../../testing/make-image.ts';
import { judgeImage } from '../../inspection/inspect-image.ts';
import type { Finding } from '../../inspection/finding.ts';
import type { Inspector } from '../../inspection/inspector.ts';
import { loginInspector, withVerdict, type TriedPassword } from './login-inspector.ts';
import { judgeLogins } from './login-rules.ts';
import { guessesFor, USUAL_PASSWORDS } from './usual-passwords.ts';

const HASH = '$y$j9T$CanarySaltCanarySalt$CanaryHashCanaryHash';
const PASSWD = 'root:x:0:0::/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/sh\nwww:x:33:33::/:/usr/sbin/nologin\n';

function judge(layers: MadeImage['layers'], tried: Partial<TriedPassword> = {}): readonly Finding[] {
  const verdict: TriedPassword = { verdict: 'guessed', how: 'the account’s own name', tried: 3, ...tried };
  const finishing: Inspector = {
    ...loginInspector,
    inspect: (entry, bytes, room) =>
      loginInspector
        .inspect(entry, bytes, room)
        .map(
          (value) =>
            loginInspector.redact?.(
              JSON.stringify(value).includes('"hash":"$') ? withVerdict(value, verdict) : value,
            ) ?? value,
        ),
  };
  return judgeImage(makeImage({ layers, inspectors: [finishing] }), [judgeLogins]);
}

const told = (findings: readonly Finding[]): string[] =>
  findings.map(({ severity, rule, layer, message }) => `${severity} ${rule} in ${String(layer)}: ${message}`);

describe('judgeLogins()', () => {
  it('names the account and the kind of hash, and never the password', () => {
    expect(told(judge([{ 'etc/passwd': PASSWD, 'etc/shadow': `ada:${HASH}:1:0:::::\n` }]))).toEqual([
      'critical usual-password in 0: the account “ada” has a usual password (yescrypt): the account’s own name',
    ]);
  });

  it('says what listens for it', () => {
    const [finding] = judge([{ 'etc/passwd': PASSWD, 'etc/shadow': `root:${HASH}:1:0:::::\n`, 'usr/sbin/sshd': '' }]);
    expect(finding?.message).toMatch(/; sshd is in the image and listens for it$/);
    expect(finding?.fix).toContain('passwd --lock root');
  });

  it('finds an account without a password', () => {
    expect(told(judge([{ 'etc/passwd': PASSWD, 'etc/shadow': 'root::1:0:::::\n' }]))).toEqual([
      'critical empty-password in 0: the account “root” asks for no password',
    ]);
  });

  it('is milder where a shell lets nobody in, or a later layer replaced the file', () => {
    expect(told(judge([{ 'etc/passwd': PASSWD, 'etc/shadow': `www:${HASH}:1:0:::::\n` }]))).toEqual([
      'high usual-password in 0: the account “www” has a usual password (yescrypt): the account’s own name; its shell lets nobody in',
    ]);
    expect(
      told(
        judge([{ 'etc/passwd': PASSWD, 'etc/shadow': `ada:${HASH}:1:0:::::\n` }, { 'etc/shadow': 'ada:!:1:0:::::\n' }]),
      ),
    ).toEqual([
      'high usual-password in 0: the account “ada” has a usual password (yescrypt): the account’s own name; in a file that a later layer replaced',
    ]);
  });

  it('tells a password once, of the layer that brought it, though later ones write the file anew', () => {
    const shadow = `ada:${HASH}:1:0:::::\n`;
    const findings = judge([
      { 'etc/passwd': PASSWD },
      { 'etc/shadow': shadow },
      { 'etc/shadow': `${shadow}new:!:1:0:::::\n`, 'etc/shadow-': shadow },
    ]);
    expect(findings.map(({ layer, path, hiddenBy }) => [layer, path, hiddenBy])).toEqual([
      [1, 'etc/shadow', undefined],
    ]);
  });

  it('tells a hash that withstood, an old one, and one that nobody tried', () => {
    const image = [{ 'etc/passwd': PASSWD, 'etc/shadow': `ada:${HASH}:1:0:::::\n` }];
    expect(told(judge(image, { verdict: 'withstood', tried: 375 }))).toEqual([
      'medium password-hash in 0: the account “ada” has a password (yescrypt), which withstood 375 guesses',
    ]);
    const old = [{ 'etc/shadow': 'ada:$1$a$b:1:0:::::\n' }];
    expect(told(judge(old, { verdict: 'withstood', tried: 375 }))[0]).toMatch(/^high old-password-hash/);
    expect(judge(image, { verdict: 'untried', how: 'the time was over', tried: 20 }).map(({ rule }) => rule)).toEqual([
      'password-hash',
      'untried-password',
    ]);
  });

  it.each([
    ['locked accounts', { 'etc/shadow': 'root:*:1:0\nada:!:1:0\nwww:!*:1:0\n' }],
    ['a file of another name', { 'srv/shadow': `root:${HASH}:1:0\n` }],
    ['a link', { 'etc/shadow': { type: 'symlink' as const, target: '/etc/x' } }],
  ])('passes over %s', (_what, files) => {
    expect(judge([files])).toEqual([]);
  });

  it('keeps no part of a hash, tried or not', () => {
    const image = makeImage({ layers: [{ 'etc/shadow': `ada:${HASH}:1:0\n` }], inspectors: [loginInspector] });
    const kept = image.facts(loginInspector.id).map(({ value }) => loginInspector.redact?.(value));
    expect(JSON.stringify(kept)).not.toContain('Canary');
    expect(
      JSON.stringify(
        judgeMade({ layers: [{ 'etc/shadow': `ada:${HASH}:1:0\n` }], inspectors: [loginInspector] }, [judgeLogins]),
      ),
    ).not.toContain('Canary');
  });
});

describe('guessesFor()', () => {
  it('tries some hundred passwords, none twice, the account’s name first', () => {
    const guesses = guessesFor('ada').map(({ password }) => password);
    expect(guesses.length).toBeGreaterThan(300);
    expect(new Set(guesses).size).toBe(guesses.length);
    expect(guesses.slice(0, 3)).toEqual(['ada', 'root', 'password']);
    expect(guesses).toContain('Ada123');
  });

  it('never tells a password', () => {
    for (const account of ['root', 'ada']) {
      for (const { told: words } of guessesFor(account)) {
        expect(words).toMatch(/^(?:the account’s own name|made of the|one of the (?:100|\d{3}) most usual$)/);
      }
    }
    expect(USUAL_PASSWORDS.length).toBeGreaterThan(300);
  });
});
