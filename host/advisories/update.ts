// Feeds from files, or from where a URL says, into the file of advisories. Nothing is fetched that was not named.
import { RingwallError } from '@ringwall/api/errors';
import { OciError, parseFeed, type FeedDocument, type ParsedDocuments } from '@ringwall/oci';
import type { AdvisoryDatabase, FeedChange, FeedStamp } from './database.ts';
import { documentsOf, fileDate, readFeedFile } from './read-feed-files.ts';

/** As for files. */
const MAX_DOWNLOAD_BYTES: number = 500 * 1024 * 1024;
/** OSV's dump of npm over a slow line. */
const DOWNLOAD_TIMEOUT_MS: number = 30 * 60 * 1000;

export interface ReadFeed {
  readonly parsed: ParsedDocuments;
  readonly stamp: FeedStamp;
}

/** A file, a folder or a URL. Throws RingwallError. */
export async function readFeed(from: string, now: number): Promise<ReadFeed> {
  const { documents, dated } = await open(from);
  return { parsed: reading(from, () => parseFeed(documents)), stamp: { dated, updated: new Date(now).toISOString() } };
}

/** Throws RingwallError; then nothing has changed. */
export function applyFeed(database: AdvisoryDatabase, { parsed, stamp }: ReadFeed, mayShrink: boolean): FeedChange {
  if (parsed.what === 'advisories') return database.replaceFeed(parsed.feed, stamp, mayShrink);
  return parsed.what === 'exploited'
    ? database.replacePriorities('kev', parsed.dates, stamp)
    : database.replacePriorities('epss', parsed.scores, stamp);
}

async function open(from: string): Promise<{ readonly documents: Iterable<FeedDocument>; readonly dated: string }> {
  if (!/^https?:\/\//i.test(from)) return { documents: readFeedFile(from), dated: fileDate(from) };
  try {
    const response = await fetch(from, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) });
    if (!response.ok) throw new RingwallError('not-found', `${from} answers with ${response.status}`);
    const bytes = await readBounded(response, from);
    const modified = Date.parse(response.headers.get('last-modified') ?? '');
    const dated = new Date(Number.isNaN(modified) ? Date.now() : modified).toISOString();
    return { documents: documentsOf(bytes, from), dated };
  } catch (cause) {
    if (cause instanceof RingwallError) throw cause;
    throw new RingwallError('not-found', `${from} cannot be fetched`, { cause });
  }
}

async function readBounded(response: Response, from: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_DOWNLOAD_BYTES)
      throw new RingwallError('too-large', `${from} has more than ${MAX_DOWNLOAD_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function reading<Result>(from: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof OciError)) throw cause;
    throw new RingwallError('bad-request', `${from}: ${cause.message}`, { cause });
  }
}
