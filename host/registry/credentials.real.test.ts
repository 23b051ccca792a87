// Logins that a program keeps: a real one, started as docker starts it, and what it may do that must not be believed.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCredentials } from './credentials.ts';
import { RegistryError } from './registry-error.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-logins-'));
  mkdirSync(join(folder, 'bin'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const environment = (): Record<string, string> => ({
  DOCKER_CONFIG: folder,
  PATH: `relative:${join(folder, 'bin')}:/usr/bin:/bin`,
  KEYCHAIN: 'the user’s own',
});
const configure = (config: unknown): void => writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
const install = (name: string, script: string): void => {
  const file = join(folder, 'bin', `docker-credential-${name}`);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
};
const auth = (user: string, password: string): { auth: string } => ({ auth: btoa(`${user}:${password}`) });

describe('readCredentials()', () => {
  it('asks the program of a registry, before the one of all registries and the file', async () => {
    install('one', 'read -r server; echo "{\\"Username\\": \\"$1 $server\\", \\"Secret\\": \\"$KEYCHAIN\\"}"');
    install('store', 'echo \'{"Username": "store", "Secret": "x:y"}\'');
    configure({
      credsStore: 'store',
      credHelpers: { 'one.example': 'one' },
      auths: { 'one.example': auth('no', 'no') },
    });
    const find = readCredentials(environment());
    expect(await find('one.example')).toEqual({ user: 'get one.example', password: 'the user’s own' });
    expect(await find('two.example')).toEqual({ user: 'store', password: 'x:y' });
  });

  it('asks for Docker Hub by the name under which its login is kept', async () => {
    install('store', 'read -r server; echo "{\\"Username\\": \\"$server\\", \\"Secret\\": \\"\\"}"');
    configure({ credsStore: 'store' });
    expect(await readCredentials(environment())('docker.io')).toEqual({
      user: 'https://index.docker.io/v1/',
      password: '',
    });
  });

  it('asks once, and takes what the file has where the program keeps nothing', async () => {
    install('store', `echo x >> ${folder}/asked; echo 'credentials not found in native keychain'; exit 1`);
    configure({ credsStore: 'store', auths: { 'a.example': auth('u', 'p') } });
    const find = readCredentials(environment());
    expect(await Promise.all([find('a.example'), find('a.example')])).toEqual([
      { user: 'u', password: 'p' },
      { user: 'u', password: 'p' },
    ]);
    expect(await find('b.example')).toBeUndefined();
  });

  it.each([['../../bin/sh'], ['/bin/sh'], ['a b'], ['Desktop'], ['desktop.exe'], ['-x'], [7], ['a'.repeat(64)]])(
    'starts nothing by the name %j',
    async (name) => {
      configure({ credHelpers: { 'a.example': name }, auths: { 'a.example': auth('u', 'p') } });
      await expect(readCredentials(environment())('a.example')).rejects.toThrow('no name of a helper');
    },
  );

  it.each([
    ['is not there', undefined, 'is not installed'],
    ['fails', 'echo secret-of-mine; exit 3', 'status 3'],
    ['answers with no JSON', 'echo secret-of-mine', 'answers with no login'],
    ['answers with no password', 'echo \'{"Username": "secret-of-mine"}\'', 'answers with no login'],
    [
      'has a token that is no password',
      'echo \'{"Username": "<token>", "Secret": "secret-of-mine"}\'',
      'identity token',
    ],
    ['never stops to speak', 'while :; do echo secret-of-mine; done', 'more than 65536 bytes'],
  ])('says what is wrong where the program %s, and repeats nothing of it', async (_what, script, message) => {
    if (script !== undefined) install('one', script);
    configure({ credHelpers: { 'a.example': 'one' } });
    const asking = readCredentials(environment())('a.example');
    await expect(asking).rejects.toThrow(RegistryError);
    await expect(asking).rejects.toThrow(message);
    await expect(asking).rejects.not.toThrow('secret-of-mine');
  });
});
