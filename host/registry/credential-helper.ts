// A program of the user's that keeps logins: `docker-credential-NAME get`, as docker-credential-helpers has it. It is found by its
// name alone, among the programs of the user, and gets nothing but the name of the registry.
import { accessSync, constants } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import type { Run, RunResult } from '../exec/index.ts';
import type { Credentials, Environment } from './credentials.ts';
import { isRecord } from './json.ts';
import { RegistryError } from './registry-error.ts';

/** No path, and nothing that leads out of a folder of programs: a config file may be somebody else's. */
const HELPER_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** A keychain may ask the user to unlock it first. */
const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 * 1024;
/** What helpers print, with a status other than 0, where they keep nothing for a registry. */
const NOTHING_KEPT = /credentials not found/i;
/** The user of what is no password, but a token to get tokens with (OAuth 2). */
const IDENTITY_TOKEN_USER = '<token>';

/** undefined where it keeps no login for `server`. Throws RegistryError. */
export async function askHelper(
  name: unknown,
  server: string,
  environment: Environment,
  run: Run,
): Promise<Credentials | undefined> {
  if (typeof name !== 'string' || !HELPER_NAME.test(name)) {
    const shown = JSON.stringify(name)?.slice(0, 60) ?? 'nothing';
    throw new RegistryError(
      'refused',
      `config.json says that ${shown} keeps the login for ${server}: no name of a helper`,
    );
  }
  const program = `docker-credential-${name}`;
  const { code, stdout } = await runHelper(program, server, environment, run);
  const answer = stdout.toString();
  if (code !== 0 && NOTHING_KEPT.test(answer)) return undefined;
  // What it printed may be the secret: it is not repeated.
  if (code !== 0)
    throw new RegistryError('unauthorized', `${program} gives no login for ${server}: status ${String(code)}`);
  const { user, password } = parseAnswer(answer, program);
  if (user === IDENTITY_TOKEN_USER)
    throw new RegistryError('unauthorized', `${program} has an identity token for ${server}, and no password`);
  return { user, password };
}

async function runHelper(program: string, server: string, environment: Environment, run: Run): Promise<RunResult> {
  const path = findProgram(program, environment['PATH'] ?? '');
  if (path === undefined)
    throw new RegistryError('unauthorized', `${program}, which keeps the login for ${server}, is not installed`);
  // It is the user's own program, and finds the keychain by the user's environment.
  const env = Object.fromEntries(
    Object.entries(environment).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
  try {
    return await run([path, 'get'], { input: server, env, timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_OUTPUT_BYTES });
  } catch (cause) {
    if (!(cause instanceof RingwallError)) throw cause;
    throw new RegistryError('unauthorized', `${program} gives no login for ${server}: ${cause.message}`, { cause });
  }
}

function findProgram(name: string, path: string): string | undefined {
  return path
    .split(':')
    .filter((folder) => isAbsolute(folder))
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function parseAnswer(answer: string, program: string): Credentials {
  try {
    const document: unknown = JSON.parse(answer);
    if (isRecord(document)) {
      const { Username: user, Secret: password } = document;
      if (typeof user === 'string' && typeof password === 'string' && user !== '') return { user, password };
    }
  } catch {
    // Said below.
  }
  throw new RegistryError('unauthorized', `${program} answers with no login`);
}
