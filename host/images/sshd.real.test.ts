// lib/oci reads sshd_config as sshd does: the same files, put to `sshd -T`.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { effectiveSettings, parseServerConfiguration } from '@ringwall/oci';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const SSHD = '/usr/sbin/sshd';
const KEYWORDS = [
  'permitrootlogin',
  'passwordauthentication',
  'permitemptypasswords',
  'kbdinteractiveauthentication',
  'pubkeyauthentication',
  'port',
];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-sshd-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe.skipIf(!existsSync(SSHD))('effectiveSettings() agrees with sshd -T (skipped: needs openssh-server)', () => {
  test.each<[what: string, files: Readonly<Record<string, string>>]>([
    ['nothing', { sshd_config: '' }],
    ['first values', { sshd_config: 'PermitRootLogin no\nPermitRootLogin yes\nPort 2022\n' }],
    [
      'cases, tabs, equals signs, quotes',
      { sshd_config: '\tPERMITrootLOGIN=YES\nport = "2022"\nPasswordAuthentication\tno # x\n' },
    ],
    ['old names', { sshd_config: 'ChallengeResponseAuthentication no\nPermitRootLogin without-password\n' }],
    [
      'Include first',
      {
        sshd_config: 'Include DIR/d/*.conf\nPasswordAuthentication no\n',
        'd/a.conf': 'PasswordAuthentication yes\nPermitEmptyPasswords yes\n',
      },
    ],
    [
      'Include last',
      { sshd_config: 'PasswordAuthentication no\nInclude DIR/d/*.conf\n', 'd/a.conf': 'PasswordAuthentication yes\n' },
    ],
    [
      'Include of two, in order',
      {
        sshd_config: 'Include DIR/d/*.conf\n',
        'd/b.conf': 'PermitRootLogin no\n',
        'd/a.conf': 'PermitRootLogin yes\n',
      },
    ],
    [
      'Include in Include',
      {
        sshd_config: 'Include DIR/d/a.conf\n',
        'd/a.conf': 'Include DIR/d/b.conf\nPermitRootLogin yes\n',
        'd/b.conf': 'PermitRootLogin no\n',
      },
    ],
    ['Match', { sshd_config: 'Match User nobody\nPasswordAuthentication no\nMatch all\nPermitRootLogin yes\n' }],
    [
      'Match in an included file',
      {
        sshd_config: 'Include DIR/d/*.conf\nPermitRootLogin yes\n',
        'd/a.conf': 'Match User nobody\nPasswordAuthentication no\n',
      },
    ],
    [
      'Include in Match',
      {
        sshd_config: 'Match User nobody\nInclude DIR/d/*.conf\nMatch all\nPermitRootLogin no\n',
        'd/a.conf': 'PermitRootLogin yes\n',
      },
    ],
  ])('of %s', (_what, files) => {
    const own = new Map<string, ReturnType<typeof parseServerConfiguration>>();
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      const written = text.replaceAll('DIR', folder);
      writeFileSync(path, written);
      own.set(path.slice(1), parseServerConfiguration(written));
    }
    execFileSync('/usr/bin/ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
    mkdirSync('/run/sshd', { recursive: true });
    const said = execFileSync(SSHD, ['-T', '-f', join(folder, 'sshd_config'), '-h', join(folder, 'key')], {
      encoding: 'utf8',
    });
    const theirs = new Map(
      said.split('\n').map((line): [string, string] => [line.split(' ')[0] ?? '', line.split(' ')[1] ?? '']),
    );
    const ours = effectiveSettings(own, join(folder, 'sshd_config').slice(1)).always;
    for (const keyword of KEYWORDS) {
      const value = theirs.get(keyword)?.replace('without-password', 'prohibit-password');
      expect(ours.get(keyword), keyword).toBe(value);
    }
  });
});
