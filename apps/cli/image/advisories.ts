// The advisories that images are judged by: the file of this host, or the one that is named. Without one, packages are said to be
// unjudged.
import { existsSync } from 'node:fs';
import { AdvisoryDatabase, sourceOf } from '@ringwall/host/advisories';
import { sourceOfFeeds, type AdvisorySource } from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { advisoriesPath } from './advisories-file.ts';

/** `use` gets none that is left open. */
export function withAdvisories<Result>(invocation: Invocation, use: (source: AdvisorySource) => Result): Result {
  const path = advisoriesPath(invocation);
  if (!invocation.values.has('advisories') && !existsSync(path)) return use(sourceOfFeeds([]));
  using database = AdvisoryDatabase.openToRead(path);
  return use(sourceOf(database));
}
