// Where the advisories of this host lie, and whether they are still the same.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Invocation } from '../invocation.ts';

export function advisoriesPath({ values, paths }: Pick<Invocation, 'values' | 'paths'>): string {
  return values.get('advisories') ?? join(paths.state, 'advisories.db');
}

/** Another one after whatever was written into the file, or in its place; '' where there is none. */
export function advisoriesStamp(invocation: Pick<Invocation, 'values' | 'paths'>): string {
  const stat = statSync(advisoriesPath(invocation), { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? '' : [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ');
}
