// A feed told by what is in it, whatever its file is called.
import { OciError } from '../../oci-error.ts';
import { recordOf, textAt, type JsonRecord } from '../../json-value.ts';
import { isCsaf } from '../csaf/product-tree.ts';
import { parseAlpineSecdb } from './alpine.ts';
import { parseRedHatCsaf } from './csaf.ts';
import { parseDebianTracker } from './debian.ts';
import { isOsv, parseOsv } from './osv.ts';
import { malformedFeed, type ParsedFeed } from './feed.ts';
import { isEpss, isKev, parseEpss, parseKev } from './priorities.ts';

/** A document of a feed: JSON as it was read, or the text of a table. */
export type FeedDocument = JsonRecord | string;

export type ParsedDocuments =
  | { readonly what: 'advisories'; readonly feed: ParsedFeed }
  | { readonly what: 'exploited'; readonly dates: ReadonlyMap<string, string> }
  | { readonly what: 'probabilities'; readonly scores: ReadonlyMap<string, number> };

/** One document; or many, then all of OSV, or all CSAF. Throws OciError `malformed` where it is no feed that is known. */
export function parseFeed(documents: Iterable<FeedDocument>): ParsedDocuments {
  const iterator = documents[Symbol.iterator]();
  const { value: first, done } = iterator.next();
  if (done === true || first === undefined) throw malformedFeed('file', 'is empty');
  if (typeof first === 'string') {
    if (isEpss(first)) return { what: 'probabilities', scores: parseEpss(first) };
    throw malformedFeed('file', 'is no table of EPSS');
  }
  if (isOsv(first)) return { what: 'advisories', feed: parseOsv(allOf(first, iterator, 'osv', isOsv)) };
  if (isCsaf(first)) return { what: 'advisories', feed: parseRedHatCsaf(allOf(first, iterator, 'redhat', isCsaf)) };
  if (iterator.next().done !== true)
    throw malformedFeed('file', 'holds several documents that are no advisories of OSV');
  if (isKev(first)) return { what: 'exploited', dates: parseKev(first) };
  if (
    Array.isArray(first['packages']) &&
    (textAt(first, 'distroversion') !== '' || textAt(first, 'urlprefix') !== '')
  ) {
    return { what: 'advisories', feed: parseAlpineSecdb(first) };
  }
  if (isDebianTracker(first)) return { what: 'advisories', feed: parseDebianTracker(first) };
  throw new OciError('malformed', 'is no feed of OSV, Debian, Alpine, Wolfi, Red Hat (CSAF), KEV or EPSS');
}

/** Many documents of one kind, and nothing else between them. */
function* allOf(
  first: JsonRecord,
  rest: Iterator<FeedDocument>,
  feed: string,
  isOne: (document: JsonRecord) => boolean,
): Generator<JsonRecord> {
  yield first;
  for (let next = rest.next(); next.done !== true; next = rest.next()) {
    if (typeof next.value === 'string' || !isOne(next.value))
      throw malformedFeed(feed, 'holds what is no advisory of its kind');
    yield next.value;
  }
}

function isDebianTracker(document: JsonRecord): boolean {
  const [cves] = Object.values(document);
  const [entry] = Object.values(recordOf(cves) ?? {});
  return recordOf(recordOf(entry)?.['releases']) !== undefined;
}
