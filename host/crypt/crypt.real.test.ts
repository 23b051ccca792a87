// Hashes of every kind that crypt(5) lists, made by the programs that administrators use, tried by the system's libcrypt.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { guessesFor, LOGIN_INSPECTOR_ID, type FactValue } from '@ringwall/oci';
import { describe, expect, test } from 'vitest';
import { run } from '../exec/index.ts';
import { guessPassword, passwordFinisher } from './index.ts';

const made = (program: string, ...args: string[]): string => execFileSync(program, args, { encoding: 'utf8' }).trim();
const perl = (salt: string): string => made('/usr/bin/perl', '-e', 'print crypt($ARGV[0], $ARGV[1])', 'docker', salt);
const GUESSES = guessesFor('ada').map(({ password }) => password);
const AT = GUESSES.indexOf('docker');
const PATIENT_MS = 30_000;

const HASHES: readonly (readonly [name: string, make: () => string, program: string])[] = [
  ['yescrypt of mkpasswd', () => made('/usr/bin/mkpasswd', '-m', 'yescrypt', 'docker'), '/usr/bin/mkpasswd'],
  ['gost-yescrypt of mkpasswd', () => made('/usr/bin/mkpasswd', '-m', 'gost-yescrypt', 'docker'), '/usr/bin/mkpasswd'],
  ['scrypt of mkpasswd', () => made('/usr/bin/mkpasswd', '-m', 'scrypt', 'docker'), '/usr/bin/mkpasswd'],
  ['bcrypt of mkpasswd', () => made('/usr/bin/mkpasswd', '-m', 'bcrypt', '-R', '5', 'docker'), '/usr/bin/mkpasswd'],
  ['sha512crypt of openssl', () => made('/usr/bin/openssl', 'passwd', '-6', 'docker'), '/usr/bin/openssl'],
  ['sha256crypt of openssl', () => made('/usr/bin/openssl', 'passwd', '-5', 'docker'), '/usr/bin/openssl'],
  ['md5crypt of openssl', () => made('/usr/bin/openssl', 'passwd', '-1', 'docker'), '/usr/bin/openssl'],
  ['sunmd5 of mkpasswd', () => made('/usr/bin/mkpasswd', '-m', 'sunmd5', 'docker'), '/usr/bin/mkpasswd'],
  ['NT of mkpasswd', () => made('/usr/bin/mkpasswd', '-m', 'nt', 'docker'), '/usr/bin/mkpasswd'],
  ['descrypt of perl', () => perl('ab'), '/usr/bin/perl'],
  ['bsdicrypt of perl', () => perl('_J9..rasm'), '/usr/bin/perl'],
  ['sha1crypt of perl', () => perl('$sha1$1000$abcdefgh'), '/usr/bin/perl'],
  ['bcrypt of perl, by its old name', () => perl('$2y$05$abcdefghijklmnopqrstuu'), '/usr/bin/perl'],
  ['SHA-1 of htpasswd', () => '{SHA}TEvDg7/vSWs1xYTJT/tF9JTvF6s=', '/usr/bin/perl'],
];

describe('guessPassword()', () => {
  test.each(HASHES)('guesses %s', async (_name, make, program) => {
    if (!existsSync(program)) return console.log(`skipped: needs ${program}`);
    const hash = _name.startsWith('SHA-1')
      ? `{SHA}${execFileSync('/bin/sh', ['-c', 'printf docker | openssl dgst -sha1 -binary | openssl base64'], { encoding: 'utf8' }).trim()}`
      : make();
    expect(await guessPassword(run, hash, GUESSES, PATIENT_MS)).toEqual({ verdict: 'guessed', index: AT });
  });

  test('says that a good password withstood, and what libcrypt does not take', async () => {
    const good = made('/usr/bin/openssl', 'passwd', '-5', 'Kx9-vermilion-gecko');
    expect(await guessPassword(run, good, GUESSES, PATIENT_MS)).toEqual({ verdict: 'withstood' });
    for (const odd of ['$99$a$b', 'x y', '$apr1$aaaaaaaa$bbbbbbbbbbbbbbbbbbbbbb', '$y$jFT$a$b', '\u0000\n$1$']) {
      expect(await guessPassword(run, odd, GUESSES, PATIENT_MS), odd).toMatchObject({ verdict: 'untried', tried: 0 });
    }
  });

  test('ends in time where whoever made the hash wanted it to take years', async () => {
    const hash = '$6$rounds=999999999$abcdefgh$' + 'x'.repeat(86);
    expect(await guessPassword(run, hash, GUESSES, 500)).toMatchObject({
      verdict: 'untried',
      why: 'the time was over',
    });
  });
});

test('passwordFinisher() tries a hash once, and never tells the password', async () => {
  let started = 0;
  const finisher = passwordFinisher((argv, options) => {
    started += 1;
    return run(argv, options);
  });
  const hash = made('/usr/bin/openssl', 'passwd', '-1', 'ada123');
  const value: FactValue = { what: 'password', account: 'ada', verdict: 'untried', hash };
  const fact = { inspector: LOGIN_INSPECTOR_ID, path: 'etc/shadow', value };
  const [one, other] = await finisher.finish([fact, { ...fact, path: 'etc/shadow-' }]);
  expect(one?.value).toMatchObject({ verdict: 'guessed', how: 'made of the account’s own name' });
  expect(other?.value).toEqual(one?.value);
  expect(JSON.stringify(one?.value)).not.toContain('ada123');
  expect(started).toBeLessThanOrEqual(4);
});

test('passwordFinisher() says what its time did not suffice for', async () => {
  const finisher = passwordFinisher(run, { imageMs: 0 });
  const value: FactValue = { what: 'password', account: 'ada', verdict: 'untried', hash: '$1$a$b' };
  const [fact] = await finisher.finish([{ inspector: LOGIN_INSPECTOR_ID, path: 'etc/shadow', value }]);
  expect(fact?.value).toMatchObject({ verdict: 'untried', how: 'the time for passwords was over', tried: 0 });
});
