// How ranges and versions of an affected package stand in their column: most are "until this version", and then they are that
// version; `` is "every version". All others are JSON, which no version begins like.
import { ADVISORY_STATUSES, type AdvisoryStatus, type AffectedPackage, type VersionRange } from '@ringwall/oci';

type Affected = Pick<AffectedPackage, 'ranges' | 'versions'>;

export function encodeRanges({ ranges, versions }: Affected): string {
  const [first] = ranges;
  if (first !== undefined && ranges.length === 1 && versions.length === 0) {
    const [introduced, fixed, last] = first;
    if (introduced === '0' && last === '' && !fixed.startsWith('{')) return fixed;
  }
  return JSON.stringify({ r: ranges, v: versions });
}

export function decodeRanges(text: string): Affected {
  if (!text.startsWith('{')) return { ranges: [['0', text, '']], versions: [] };
  const value: unknown = JSON.parse(text);
  const field = (name: string): readonly unknown[] => {
    const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : [];
    return Array.isArray(found) ? found : [];
  };
  return {
    ranges: field('r').flatMap((each) => (isRange(each) ? [each] : [])),
    versions: field('v').filter((each) => typeof each === 'string'),
  };
}

export function isRange(value: unknown): value is VersionRange {
  return Array.isArray(value) && value.length === 3 && value.every((each) => typeof each === 'string');
}

export function statusNumber(status: AdvisoryStatus): number {
  return ADVISORY_STATUSES.indexOf(status);
}

/** What another version may have written is taken for affected. */
export function statusOfNumber(number: number): AdvisoryStatus {
  return ADVISORY_STATUSES[number] ?? 'affected';
}
