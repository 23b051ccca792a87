// Asking one registry: with a login or a token where it wants one, again where it is overrun, never for longer than is sensible.
// Distribution's "Token Authentication Specification"; RFC 9110, sections 10.2.3 and 15. Whoever answers controls every byte.
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseChallenge, retryAfterMs, type Challenge } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import { DEFAULT_STALL_MS, httpGet, readBody } from './http-get.ts';
import { isRecord } from './json.ts';
import { RegistryError } from './registry-error.ts';

/** Tries of one request, where each fails in a way that passes. */
export const MAX_ATTEMPTS = 5;
/** A token of all scopes has some kilobytes. */
const MAX_TOKEN_BYTES = 64 * 1024;
/** A limit of an hour is for the user to wait for, not for us. */
const MAX_WAIT_MS = 60_000;
const DEFAULT_RETRY_MS = 500;
const DOCKER_HUB_HOST = 'registry-1.docker.io';

export interface SessionOptions {
  /** Of the registry, as a reference names it: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** Asked only where the registry wants a login. */
  readonly credentials: () => Promise<Credentials | undefined>;
  /** Ask without TLS although it is not this machine: somebody said so by name. */
  readonly plainHttp: boolean;
  readonly stallMs?: number;
  /** Before the first new try; doubled with each. */
  readonly retryMs?: number;
}

export interface Session {
  readonly domain: string;
  readonly retryMs: number;
  readonly stallMs: number;
  /** Where `path`, below `/v2/`, leads. */
  readonly url: (path: string) => URL;
  /** Answers of status 200 and 206; the caller reads the body or destroys it. Throws RegistryError. */
  readonly get: (
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ) => Promise<IncomingMessage>;
}

/** Asks nobody yet. `scope` is what a token is asked for, as in `repository:library/debian:pull`. */
export function openSession(options: SessionOptions, scope: string): Session {
  const { domain, plainHttp, stallMs = DEFAULT_STALL_MS, retryMs = DEFAULT_RETRY_MS } = options;
  const host = domain === 'docker.io' ? DOCKER_HUB_HOST : domain;
  const mayBePlain = plainHttp || isLoopback(domain);
  const common = { mayBePlain, stallMs };
  const url = (path: string): URL => new URL(`${mayBePlain ? 'http' : 'https'}://${host}/v2/${path}`);
  let authorization: string | undefined;

  const authorize = async (challenge: Challenge | undefined, signal: AbortSignal): Promise<string> => {
    const credentials = await options.credentials();
    const login = credentials === undefined ? undefined : basic(credentials);
    if (challenge?.scheme === 'basic' && login !== undefined) return login;
    const realm = challenge?.parameters.get('realm') ?? '';
    if (challenge?.scheme !== 'bearer' || !URL.canParse(realm))
      throw new RegistryError('unauthorized', `${domain} wants a login: docker login ${domain}`);
    const tokenUrl = new URL(realm);
    const service = challenge.parameters.get('service');
    if (service !== undefined) tokenUrl.searchParams.set('service', service);
    // Ours, not what the challenge asks for.
    tokenUrl.searchParams.set('scope', scope);
    const response = await httpGet(tokenUrl, { headers: {}, authorization: login, signal, ...common });
    if (response.statusCode !== 200) {
      response.destroy();
      throw new RegistryError('unauthorized', `${tokenUrl.host} gives no token for ${domain}, ${scope}`);
    }
    return `Bearer ${tokenOf(await readBody(response, { maxBytes: MAX_TOKEN_BYTES, stallMs }, 'token'), tokenUrl.host)}`;
  };
  return {
    domain,
    retryMs,
    stallMs,
    url,
    get: async (path, headers, signal) => {
      for (let attempt = 1; ; attempt += 1) {
        // oxlint-disable-next-line no-await-in-loop -- again only after an answer
        const response = await httpGet(url(path), { headers, authorization, signal, ...common });
        const { statusCode = 0 } = response;
        if (statusCode === 200 || statusCode === 206) return response;
        response.destroy();
        if (statusCode === 401 && attempt === 1) {
          const challenge = parseChallenge(response.headers['www-authenticate'] ?? '');
          // oxlint-disable-next-line no-await-in-loop -- as above
          authorization = await authorize(challenge, signal);
        } else if ((statusCode === 429 || statusCode >= 500) && attempt < MAX_ATTEMPTS) {
          const asked = retryAfterMs(response.headers['retry-after'], Date.now());
          const waitMs = asked ?? retryMs * 2 ** attempt;
          if (waitMs > MAX_WAIT_MS) throw rateLimited(domain, waitMs);
          // oxlint-disable-next-line no-await-in-loop -- as it asked
          await sleep(waitMs, undefined, { signal });
        } else throw refusal(statusCode, domain, path);
      }
    },
  };
}

function tokenOf(bytes: Uint8Array, host: string): string {
  try {
    const document: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const token = isRecord(document) ? (document['token'] ?? document['access_token']) : undefined;
    // What is no token of RFC 6750 could end the header and begin another.
    if (typeof token === 'string' && /^[\w.~+/=-]+$/.test(token)) return token;
  } catch {
    // Said below.
  }
  throw new RegistryError('unauthorized', `${host} answers without a token`);
}

function basic({ user, password }: Credentials): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function refusal(status: number, domain: string, path: string): RegistryError {
  if (status === 404) return new RegistryError('not-found', `${domain} has no ${path}`);
  if (status === 401 || status === 403)
    return new RegistryError('unauthorized', `${domain} does not give ${path} to you: docker login ${domain}`);
  if (status === 429) return rateLimited(domain, undefined);
  return new RegistryError('unreachable', `${domain} answers ${String(status)} for ${path}`);
}

function rateLimited(domain: string, waitMs: number | undefined): RegistryError {
  const wait = waitMs === undefined ? '' : `, and asks to wait ${String(Math.ceil(waitMs / 1000))} s`;
  return new RegistryError('rate-limited', `${domain} was asked too often${wait}`);
}

/** RFC 6761, section 6.3; RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3. */
function isLoopback(domain: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/.test(domain);
}
