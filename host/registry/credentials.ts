// Logins of `docker login` and `podman login`: `auths` of their config.json, and what programs keep for them (`credHelpers`,
// `credsStore`).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, type Run } from '../exec/index.ts';
import { askHelper } from './credential-helper.ts';
import { isRecord } from './json.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Throws RegistryError where a program that keeps a login does not give it. */
export type FindCredentials = (domain: string) => Promise<Credentials | undefined>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Under which Docker Hub's are kept, since it was the only one. */
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';

/** Nobody's, where there is no such file, or where it is not what it should be. Programs run only for a registry that asks. */
export function readCredentials(environment: Environment, runner: Run = run): FindCredentials {
  const folder = environment['DOCKER_CONFIG'] || join(environment['HOME'] ?? '/', '.docker');
  const config = readConfig(environment['REGISTRY_AUTH_FILE'] || join(folder, 'config.json'));
  const asked = new Map<string, Promise<Credentials | undefined>>();
  const find = async (domain: string): Promise<Credentials | undefined> => {
    const keys =
      domain === 'docker.io' ? [DOCKER_HUB_KEY, domain] : [domain, `https://${domain}`, `https://${domain}/`];
    const helper = valueOf(config['credHelpers'], keys) ?? config['credsStore'];
    // An empty one is how a config says “none”.
    if (helper !== undefined && helper !== '') {
      const kept = await askHelper(helper, keys[0] ?? domain, environment, runner);
      if (kept !== undefined) return kept;
    }
    const entry = valueOf(config['auths'], keys);
    return isRecord(entry) && typeof entry['auth'] === 'string' ? decodeAuth(entry['auth']) : undefined;
  };
  return (domain) => {
    const known = asked.get(domain) ?? find(domain);
    asked.set(domain, known);
    return known;
  };
}

function readConfig(file: string): Readonly<Record<string, unknown>> {
  try {
    const document: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isRecord(document) ? document : {};
  } catch {
    return {};
  }
}

function valueOf(record: unknown, keys: readonly string[]): unknown {
  if (!isRecord(record)) return undefined;
  const key = keys.find((each) => Object.hasOwn(record, each));
  return key === undefined ? undefined : record[key];
}

/** Base64 of `user:password`; a colon may be in the password. */
function decodeAuth(text: string): Credentials | undefined {
  const decoded = Buffer.from(text, 'base64').toString();
  const colon = decoded.indexOf(':');
  return colon < 1 ? undefined : { user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}
