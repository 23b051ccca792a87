// One GET of HTTP/1.1, with what a stranger at the other end may not do: stall, redirect to another protocol, learn a login that is
// not for him.
import { request as requestPlain, type IncomingMessage } from 'node:http';
import { request as requestTls } from 'node:https';
import { RegistryError } from './registry-error.ts';

/** Nothing was sent or received for so long. */
export const DEFAULT_STALL_MS = 30_000;
/** A document, or the head of an answer, that takes so many times as long comes byte by byte, so as never to end. */
const MAX_STALLS = 4;
/** Registries redirect once, to where their blobs lie; more than a few lead in circles. */
const MAX_REDIRECTS = 5;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

export interface GetOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Sent to the host of `url`, and to no other. */
  readonly authorization: string | undefined;
  /** Without TLS, too; never where a redirect leads from a host with it. */
  readonly mayBePlain: boolean;
  readonly stallMs: number;
  readonly signal: AbortSignal;
}

/** Whoever does not read the body must destroy it. */
export async function httpGet(url: URL, options: GetOptions): Promise<IncomingMessage> {
  let target = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const isPlain = target.protocol === 'http:';
    if (!isPlain && target.protocol !== 'https:')
      throw new RegistryError('refused', `${url.host} redirects to ${target.protocol}//, which is not followed`);
    if (isPlain && !(options.mayBePlain && url.protocol === 'http:'))
      throw new RegistryError('refused', `${target.host} would be asked without TLS`);
    // oxlint-disable-next-line no-await-in-loop -- one leads to the next
    const response = await send(target, options, target.host === url.host && target.protocol === url.protocol);
    const { statusCode = 0, headers } = response;
    if (!REDIRECTS.includes(statusCode) || headers.location === undefined) return response;
    response.destroy();
    if (!URL.canParse(headers.location, target))
      throw new RegistryError('refused', `${target.host} redirects to nowhere`);
    target = new URL(headers.location, target);
  }
  throw new RegistryError('refused', `${url.host} redirects more than ${String(MAX_REDIRECTS)} times`);
}

function send(
  url: URL,
  { headers, authorization, stallMs, signal }: GetOptions,
  isOwn: boolean,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = (url.protocol === 'http:' ? requestPlain : requestTls)(url, {
    headers: {
      'user-agent': 'ringwall',
      ...headers,
      ...(authorization !== undefined && isOwn ? { authorization } : {}),
    },
    signal,
    timeout: stallMs,
  });
  // Of an answer that comes byte by byte no silence is long enough.
  const deadline = setTimeout(
    () => request.destroy(new RegistryError('stalled', `${url.host} does not come to an answer`)),
    MAX_STALLS * stallMs,
  );
  let answer: IncomingMessage | undefined;
  request.on('close', () => clearTimeout(deadline));
  request.on('response', (response) => {
    clearTimeout(deadline);
    answer = response;
    resolve(response);
  });
  // Whoever reads the answer is told why it ends; of a request that ends, it hears only that the connection broke.
  request.on('timeout', () =>
    (answer ?? request).destroy(new RegistryError('stalled', `${url.host} sent nothing for ${String(stallMs)} ms`)),
  );
  request.on('error', (cause) =>
    reject(
      cause instanceof RegistryError || signal.aborted
        ? cause
        : new RegistryError('unreachable', `${url.host} does not answer: ${cause.message}`, { cause }),
    ),
  );
  request.end();
  return promise;
}

export interface BodyLimits {
  readonly maxBytes: number;
  /** As of the request. */
  readonly stallMs: number;
}

/** All of a document. Throws RegistryError. */
export async function readBody(
  response: IncomingMessage,
  { maxBytes, stallMs }: BodyLimits,
  what: string,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const tooSlow = new RegistryError('stalled', `${what} comes too slowly to ever end`);
  const deadline = setTimeout(() => response.destroy(tooSlow), MAX_STALLS * stallMs);
  try {
    for await (const chunk of bodyOf(response)) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new RegistryError('refused', `${what} has more than ${String(maxBytes)} bytes`);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(deadline);
  }
  return Buffer.concat(chunks);
}

/** Ends with an error where the connection does. */
export async function* bodyOf(response: IncomingMessage): AsyncGenerator<Uint8Array, void> {
  const chunks: AsyncIterable<Uint8Array> = response;
  try {
    yield* chunks;
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    throw new RegistryError('unreachable', 'the connection broke', { cause });
  } finally {
    response.destroy();
  }
}
