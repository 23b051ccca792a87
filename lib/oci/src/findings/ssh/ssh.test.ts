import { describe, expect, it } from 'vitest';
import { judgeMade, type MadeImage } from '../../../testing/make-image.ts';
import type { Finding } from '../../inspection/finding.ts';
import { isWeak, parseAuthorizedKeys } from './authorized-keys.ts';
import { effectiveSettings, parseServerConfiguration } from './server-configuration.ts';
import { sshInspector } from './ssh-inspector.ts';
import { judgeSsh } from './ssh-rules.ts';

const settings = (files: Readonly<Record<string, string>>): ReturnType<typeof effectiveSettings> =>
  effectiveSettings(
    new Map(Object.entries(files).map(([path, text]) => [path, parseServerConfiguration(text)])),
    'etc/ssh/sshd_config',
  );
const MAIN = 'etc/ssh/sshd_config';
const judge = (files: MadeImage['layers'][number], withServer = true): readonly Finding[] =>
  judgeMade({ layers: [{ ...(withServer ? { 'usr/sbin/sshd': '' } : {}), ...files }], inspectors: [sshInspector] }, [
    judgeSsh,
  ]);
const ids = (findings: readonly Finding[]): string[] =>
  findings
    .map(({ rule }) => rule)
    .filter((rule) => rule !== 'ssh-server')
    .toSorted();
const mpint = (bytes: Uint8Array): number[] => [0, 0, bytes.length >> 8, bytes.length & 255, ...bytes];
const rsa = (bits: number): string => {
  const modulus = new Uint8Array(bits / 8 + 1).fill(0xff);
  modulus[0] = 0;
  const text = (value: string): number[] => mpint(new TextEncoder().encode(value));
  return Buffer.from([...text('ssh-rsa'), ...mpint(Uint8Array.of(1, 0, 1)), ...mpint(modulus)]).toString('base64');
};

describe('effectiveSettings()', () => {
  it.each<[what: string, files: Readonly<Record<string, string>>, keyword: string, value: string | undefined]>([
    ['the first value', { [MAIN]: 'PermitRootLogin no\nPermitRootLogin yes' }, 'permitrootlogin', 'no'],
    ['any case and one equals sign', { [MAIN]: '\tpermitROOTlogin = "YES" # x' }, 'permitrootlogin', 'yes'],
    ['comments', { [MAIN]: '#PermitRootLogin yes' }, 'permitrootlogin', 'prohibit-password'],
    ['an old name', { [MAIN]: 'ChallengeResponseAuthentication no' }, 'kbdinteractiveauthentication', 'no'],
    ['an old value', { [MAIN]: 'PermitRootLogin without-password' }, 'permitrootlogin', 'prohibit-password'],
    [
      'an included file at its place',
      {
        [MAIN]: 'Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin no',
        'etc/ssh/sshd_config.d/a.conf': 'PermitRootLogin yes',
      },
      'permitrootlogin',
      'yes',
    ],
    [
      'an included file behind',
      {
        [MAIN]: 'PermitRootLogin no\nInclude /etc/ssh/sshd_config.d/*.conf',
        'etc/ssh/sshd_config.d/a.conf': 'PermitRootLogin yes',
      },
      'permitrootlogin',
      'no',
    ],
    [
      'included files in order, from /etc/ssh',
      {
        [MAIN]: 'Include sshd_config.d/*.conf',
        'etc/ssh/sshd_config.d/b.conf': 'Port 2',
        'etc/ssh/sshd_config.d/a.conf': 'Port 1',
      },
      'port',
      '1',
    ],
    [
      'a Match as for some alone',
      { [MAIN]: 'Match User ada\nPasswordAuthentication no\nMatch all\nPermitRootLogin yes' },
      'permitrootlogin',
      'yes',
    ],
    ['nothing of a Match', { [MAIN]: 'Match User ada\nPasswordAuthentication no' }, 'passwordauthentication', 'yes'],
    [
      'a Match that ends with its included file',
      { [MAIN]: 'Include a.conf\nPermitRootLogin yes', 'etc/ssh/a.conf': 'Match User x\nX11Forwarding yes' },
      'permitrootlogin',
      'yes',
    ],
    ['a file that includes itself', { [MAIN]: 'Include sshd_config\nPort 9' }, 'port', '9'],
  ])('reads %s', (_what, files, keyword, value) => {
    expect(settings(files).always.get(keyword)).toBe(value);
  });

  it('is bounded', () => {
    const many = { [MAIN]: 'Include a.conf\n'.repeat(4000), 'etc/ssh/a.conf': 'Include a.conf\n'.repeat(4000) };
    expect(settings(many).always.get('port')).toBe('22');
    expect(settings({ [MAIN]: `Include ${'*a'.repeat(1000)}\nPort "` }).always.get('port')).toBe('');
  });
});

describe('parseAuthorizedKeys()', () => {
  it('reads types, sizes, comments and options', () => {
    const keys = parseAuthorizedKeys(
      `# x\nssh-rsa ${rsa(1024)} ada@old\ncommand="a b ssh-rsa x",no-pty ssh-rsa ${rsa(4096)} bob\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpH\nnonsense\n`,
    );
    expect(keys.map(({ type, bits, comment }) => [type, bits, comment])).toEqual([
      ['ssh-rsa', 1024, 'ada@old'],
      ['ssh-rsa', 4096, 'bob'],
      ['ssh-ed25519', 0, ''],
    ]);
    expect(keys.map((key) => isWeak(key))).toEqual([true, false, false]);
  });

  it('takes every truncation and every changed length', () => {
    const line = `ssh-rsa ${rsa(1024)} ada`;
    for (let length = 0; length < line.length; length += 1) {
      for (const { bits } of parseAuthorizedKeys(line.slice(0, length))) expect(bits).toBeLessThanOrEqual(1024);
    }
    for (let at = 8; at < 60; at += 1) parseAuthorizedKeys(`${line.slice(0, at)}//${line.slice(at + 2)}`);
    expect(parseAuthorizedKeys(`${'ssh-rsa '.repeat(1000)}\n`.repeat(200)).length).toBe(0);
  });
});

describe('judgeSsh()', () => {
  const KEY =
    '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----\n';

  it.each<[what: string, files: MadeImage['layers'][number], expected: string[]]>([
    ['OpenSSH as it is released', {}, ['ssh-passwords']],
    ['Debian’s configuration', { [MAIN]: 'KbdInteractiveAuthentication no\nUsePAM yes' }, ['ssh-passwords']],
    [
      'no passwords',
      { [MAIN]: 'PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM yes\nPermitRootLogin yes' },
      [],
    ],
    [
      'passwords through PAM',
      { [MAIN]: 'PasswordAuthentication no\nUsePAM yes\nPermitRootLogin yes' },
      ['ssh-passwords', 'ssh-root-by-password'],
    ],
    ['root by password', { [MAIN]: 'PermitRootLogin yes' }, ['ssh-passwords', 'ssh-root-by-password']],
    [
      'root by password, in a file beside',
      {
        [MAIN]: 'Include sshd_config.d/*.conf\nPermitRootLogin no',
        'etc/ssh/sshd_config.d/x.conf': 'PermitRootLogin yes',
      },
      ['ssh-passwords', 'ssh-root-by-password'],
    ],
    ['empty passwords', { [MAIN]: 'PermitEmptyPasswords yes' }, ['ssh-empty-passwords', 'ssh-passwords']],
    [
      'passwords for some',
      {
        [MAIN]:
          'PasswordAuthentication no\nKbdInteractiveAuthentication no\nMatch User ada\nPasswordAuthentication yes',
      },
      ['ssh-passwords'],
    ],
    [
      'a host key',
      {
        [MAIN]: 'PasswordAuthentication no',
        'etc/ssh/ssh_host_rsa_key': KEY,
        'etc/ssh/ssh_host_rsa_key.pub': 'ssh-rsa x',
      },
      ['ssh-host-key'],
    ],
    [
      'keys of people',
      { [MAIN]: 'PasswordAuthentication no', 'root/.ssh/authorized_keys': `ssh-rsa ${rsa(3072)} ada` },
      ['ssh-authorized-keys'],
    ],
    [
      'a weak key',
      { [MAIN]: 'PasswordAuthentication no', 'home/a/.ssh/authorized_keys': `ssh-rsa ${rsa(1024)} ada` },
      ['ssh-authorized-keys', 'ssh-weak-key'],
    ],
    [
      'Vagrant’s key',
      {
        [MAIN]: 'PasswordAuthentication no',
        'home/vagrant/.ssh/authorized_keys': `ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1 vagrant`,
      },
      ['ssh-authorized-keys', 'ssh-published-key'],
    ],
    ['an empty file of keys', { [MAIN]: 'PasswordAuthentication no', 'root/.ssh/authorized_keys': '# none\n' }, []],
  ])('judges %s', (_what, files, expected) => {
    expect(ids(judge(files))).toEqual(expected);
  });

  it('says nothing of a configuration without a server, but of keys', () => {
    expect(ids(judge({ [MAIN]: 'PermitRootLogin yes' }, false))).toEqual([]);
    expect(judge({ 'root/.ssh/authorized_keys': `ssh-rsa ${rsa(3072)} ada@laptop` }, false)[0]?.message).toBe(
      '“root/.ssh/authorized_keys” lets in 1 key: ada@laptop',
    );
  });
});
