// A repository of a registry, as a reader of it. OCI Distribution Specification 1.1, "Pulling manifests", "Pulling blobs", "Listing
// Referrers". Whoever answers controls every byte: what is read is bounded, and checked by its digest.
import { setTimeout as sleep } from 'node:timers/promises';
import { MANIFEST_TYPES, MAX_DOCUMENT_BYTES } from '@ringwall/oci';
import { bodyOf, readBody, type httpGet } from './http-get.ts';
import { RegistryError } from './registry-error.ts';
import { MAX_ATTEMPTS, openSession, type SessionOptions } from './session.ts';

/** What sends more slowly is made never to end. */
const MIN_BYTES_PER_MS = 8;
const GRACE_MS = 60_000;

export interface RegistryOptions extends SessionOptions {
  /** The repository within it: `library/debian`. */
  readonly repository: string;
}

export interface Registry {
  /** By tag or digest. Throws RegistryError; the caller checks the digest. */
  readonly manifest: (reference: string, signal: AbortSignal) => Promise<Uint8Array>;
  /** Goes on where a connection broke. The caller checks the digest. */
  readonly blob: (digest: string, bytes: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;
  /**
   * An index of what was attached to a manifest; undefined where there is none. A registry that does not know how to ask has them
   * under a tag ("Referrers Tag Schema").
   */
  readonly referrers: (digest: string, signal: AbortSignal) => Promise<Uint8Array | undefined>;
}

/** Asks nobody yet. */
export function openRegistry(options: RegistryOptions): Registry {
  const { repository } = options;
  // A token for this repository, to read it.
  const session = openSession(options, `repository:${repository}:pull`);
  const { stallMs } = session;
  const manifest: Registry['manifest'] = async (reference, signal) => {
    const headers = { accept: MANIFEST_TYPES.join(', ') };
    const response = await session.get(`${repository}/manifests/${reference}`, headers, signal);
    return await readBody(response, { maxBytes: MAX_DOCUMENT_BYTES, stallMs }, 'manifest');
  };
  return {
    manifest,
    blob: (digest, bytes, signal) => {
      const deadline = AbortSignal.timeout(GRACE_MS + Math.ceil(bytes / MIN_BYTES_PER_MS));
      return resuming(
        (offset) =>
          session.get(
            `${repository}/blobs/${digest}`,
            offset === 0 ? {} : { range: `bytes=${String(offset)}-` },
            AbortSignal.any([signal, deadline]),
          ),
        { bytes, deadline, digest, retryMs: session.retryMs },
      );
    },
    referrers: async (digest, signal) =>
      (await orNone(async () => {
        const response = await session.get(`${repository}/referrers/${digest}`, {}, signal);
        return await readBody(response, { maxBytes: MAX_DOCUMENT_BYTES, stallMs }, 'list of referrers');
      })) ?? (await orNone(() => manifest(digest.replace(':', '-'), signal))),
  };
}

/** undefined where the registry says that there is none. */
export async function orNone<Result>(ask: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'not-found') return undefined;
    throw error;
  }
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
