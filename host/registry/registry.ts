// A registry, as a reader of it. OCI Distribution Specification 1.1, "Pulling manifests", "Pulling blobs"; Distribution's "Token
// Authentication Specification". Whoever answers controls every byte: what is read is bounded, and checked by its digest.
import { setTimeout as sleep } from 'node:timers/promises';
import { MANIFEST_TYPES, MAX_DOCUMENT_BYTES } from '@ringwall/oci';
import { parseChallenge, retryAfterMs, type Challenge } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import { bodyOf, DEFAULT_STALL_MS, httpGet, readBody } from './http-get.ts';
import { isRecord } from './json.ts';
import { RegistryError } from './registry-error.ts';

/** A token of all scopes has some kilobytes. */
const MAX_TOKEN_BYTES = 64 * 1024;
/** A limit of an hour is for the user to wait for, not for us. */
const MAX_WAIT_MS = 60_000;
const MAX_ATTEMPTS = 5;
const DEFAULT_RETRY_MS = 500;
/** What sends more slowly is made never to end. */
const MIN_BYTES_PER_MS = 8;
const GRACE_MS = 60_000;
const DOCKER_HUB_HOST = 'registry-1.docker.io';

export interface RegistryOptions {
  /** Of the registry, as a reference names it: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** The repository within it: `library/debian`. */
  readonly repository: string;
  readonly credentials: Credentials | undefined;
  /** Ask without TLS although it is not this machine: somebody said so by name. */
  readonly plainHttp: boolean;
  readonly stallMs?: number;
  /** Before the first new try; doubled with each. */
  readonly retryMs?: number;
}

export interface Registry {
  /** By tag or digest. */
  readonly manifest: (reference: string, signal: AbortSignal) => Promise<Uint8Array>;
  /** Goes on where a connection broke. The caller checks the digest. */
  readonly blob: (digest: string, bytes: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;
}

/** Asks nobody yet. */
export function openRegistry(options: RegistryOptions): Registry {
  const { domain, repository, credentials, plainHttp, stallMs = DEFAULT_STALL_MS } = options;
  const { retryMs = DEFAULT_RETRY_MS } = options;
  const host = domain === 'docker.io' ? DOCKER_HUB_HOST : domain;
  const mayBePlain = plainHttp || isLoopback(domain);
  const base = `${mayBePlain ? 'http' : 'https'}://${host}/v2/${repository}`;
  const common = { mayBePlain, stallMs };
  let authorization: string | undefined;

  const get = async (
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): ReturnType<typeof httpGet> => {
    const url = new URL(`${base}/${path}`);
    for (let attempt = 1; ; attempt += 1) {
      // oxlint-disable-next-line no-await-in-loop -- again only after an answer
      const response = await httpGet(url, { headers, authorization, signal, ...common });
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
      } else throw refusal(statusCode, domain, `${repository} ${path}`);
    }
  };
  const authorize = async (challenge: Challenge | undefined, signal: AbortSignal): Promise<string> => {
    const login = credentials === undefined ? undefined : basic(credentials);
    if (challenge?.scheme === 'basic' && login !== undefined) return login;
    const realm = challenge?.parameters.get('realm') ?? '';
    if (challenge?.scheme !== 'bearer' || !URL.canParse(realm))
      throw new RegistryError('unauthorized', `${domain} wants a login: docker login ${domain}`);
    const url = new URL(realm);
    const service = challenge.parameters.get('service');
    if (service !== undefined) url.searchParams.set('service', service);
    // Ours, not what the challenge asks for: a token for this repository, to read it.
    url.searchParams.set('scope', `repository:${repository}:pull`);
    const response = await httpGet(url, { headers: {}, authorization: login, signal, ...common });
    if (response.statusCode !== 200) {
      response.destroy();
      throw new RegistryError('unauthorized', `${url.host} gives no token for ${domain}/${repository}`);
    }
    return `Bearer ${tokenOf(await readBody(response, MAX_TOKEN_BYTES, 'token'), url.host)}`;
  };

  return {
    manifest: async (reference, signal) => {
      const response = await get(`manifests/${reference}`, { accept: MANIFEST_TYPES.join(', ') }, signal);
      return await readBody(response, MAX_DOCUMENT_BYTES, 'manifest');
    },
    blob: (digest, bytes, signal) => {
      const deadline = AbortSignal.timeout(GRACE_MS + Math.ceil(bytes / MIN_BYTES_PER_MS));
      return resuming(
        (offset) =>
          get(
            `blobs/${digest}`,
            offset === 0 ? {} : { range: `bytes=${String(offset)}-` },
            AbortSignal.any([signal, deadline]),
          ),
        { bytes, deadline, digest, retryMs },
      );
    },
  };
}

interface Resumed {
  readonly bytes: number;
  readonly deadline: AbortSignal;
  readonly digest: string;
  readonly retryMs: number;
}

/** A connection that broke or stalled is tried again, as long as each brings something. */
async function* resuming(
  open: (offset: number) => ReturnType<typeof httpGet>,
  { bytes, deadline, digest, retryMs }: Resumed,
): AsyncGenerator<Uint8Array, void> {
  let seen = 0;
  for (let fruitless = 0; seen < bytes;) {
    const before = seen;
    try {
      // oxlint-disable-next-line no-await-in-loop -- each goes on where the last one broke
      const response = await open(seen);
      // One that does not know ranges begins anew.
      let skip = response.statusCode === 206 ? seen - rangeStart(response.headers['content-range']) : seen;
      if (skip < 0) throw new RegistryError('refused', `${digest} goes on elsewhere than asked`);
      for await (const chunk of bodyOf(response)) {
        const rest = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - rest.length;
        if (rest.length === 0) continue;
        seen += rest.length;
        yield rest;
        if (seen > bytes) return;
      }
      if (seen === before) throw new RegistryError('unreachable', `${digest} ends after ${String(seen)} bytes`);
    } catch (error) {
      if (deadline.aborted)
        throw new RegistryError('stalled', `${digest} comes too slowly to ever end`, { cause: error });
      const isPassing = error instanceof RegistryError && (error.code === 'unreachable' || error.code === 'stalled');
      fruitless = seen === before ? fruitless + 1 : 0;
      if (!isPassing || fruitless >= MAX_ATTEMPTS) throw error;
      // oxlint-disable-next-line no-await-in-loop -- a server that is overrun is not helped by haste
      await sleep(retryMs * fruitless);
    }
  }
}

/** RFC 9110, section 14.4. */
function rangeStart(header: string | undefined): number {
  const start = /^bytes (\d{1,15})-/.exec(header ?? '')?.[1];
  return start === undefined ? Infinity : Number(start);
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

function refusal(status: number, domain: string, what: string): RegistryError {
  if (status === 404) return new RegistryError('not-found', `${domain} has no ${what}`);
  if (status === 401 || status === 403)
    return new RegistryError('unauthorized', `${domain} does not give ${what} to you: docker login ${domain}`);
  if (status === 429) return rateLimited(domain, undefined);
  return new RegistryError('unreachable', `${domain} answers ${String(status)} for ${what}`);
}

function rateLimited(domain: string, waitMs: number | undefined): RegistryError {
  const wait = waitMs === undefined ? '' : `, and asks to wait ${String(Math.ceil(waitMs / 1000))} s`;
  return new RegistryError('rate-limited', `${domain} was asked too often${wait}`);
}

/** RFC 6761, section 6.3; RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3. */
function isLoopback(domain: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/.test(domain);
}
