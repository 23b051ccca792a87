// Logins of `docker login` and `podman login`: `auths` of their config.json. Programs that keep them elsewhere (`credHelpers`,
// `credsStore`) are not asked: they would be started by the name of a registry.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from './json.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export type FindCredentials = (domain: string) => Credentials | undefined;

/** Under which Docker Hub's are kept, since it was the only one. */
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';

/** Nobody's, where there is no such file, or where it is not what it should be. */
export function readCredentials(environment: Readonly<Record<string, string | undefined>>): FindCredentials {
  const folder = environment['DOCKER_CONFIG'] || join(environment['HOME'] ?? '/', '.docker');
  const auths = readAuths(environment['REGISTRY_AUTH_FILE'] || join(folder, 'config.json'));
  return (domain) => {
    const keys =
      domain === 'docker.io' ? [DOCKER_HUB_KEY, domain] : [domain, `https://${domain}`, `https://${domain}/`];
    const key = keys.find((each) => Object.hasOwn(auths, each));
    const entry = key === undefined ? undefined : auths[key];
    return isRecord(entry) && typeof entry['auth'] === 'string' ? decodeAuth(entry['auth']) : undefined;
  };
}

function readAuths(file: string): Readonly<Record<string, unknown>> {
  try {
    const document: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isRecord(document) && isRecord(document['auths']) ? document['auths'] : {};
  } catch {
    return {};
  }
}

/** Base64 of `user:password`; a colon may be in the password. */
function decodeAuth(text: string): Credentials | undefined {
  const decoded = Buffer.from(text, 'base64').toString();
  const colon = decoded.indexOf(':');
  return colon < 1 ? undefined : { user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}
