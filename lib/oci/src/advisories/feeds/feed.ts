// A feed as it is read: its advisories, and for which ecosystems it speaks. Feeds come from mirrors and files of others: what is
// not as its format says is refused, for half a feed would pass as a clean one.
import { OciError } from '../../oci-error.ts';
import type { Advisory } from '../advisory.ts';

/** Whose word counts first where several feeds speak of one package: who builds it, before who collects. */
export const FEED_KINDS = ['debian', 'alpine', 'redhat', 'osv'] as const;
export type FeedKind = (typeof FEED_KINDS)[number];

export interface ParsedFeed {
  readonly kind: FeedKind;
  /** `debian`, `alpine/v3.19`, `osv/npm`: a newer one of the same name takes its place. */
  readonly name: string;
  /** Those for which a package without an advisory is one that nothing is known of. */
  readonly ecosystems: readonly string[];
  readonly advisories: readonly Advisory[];
}

export function malformedFeed(feed: string, why: string): OciError {
  return new OciError('malformed', `feed ${feed}: ${why}`);
}
