// Patterns of `${x#p}`, `${x%p}` and `${x/p/r}`: `*` and `?`. All places where a pattern could be are followed at once, so
// that no pattern is slow.
import { OciError } from '../oci-error.ts';

/** Work grows with value times pattern, and for a replacement with the square of the value. */
const MAX_VALUE_CHARACTERS = 4096;
const MAX_PATTERN_CHARACTERS = 256;

export function removePrefix(value: string, pattern: string, longest: boolean): string {
  const length = matchAtStart(value, pattern, longest);
  return length === undefined ? value : value.slice(length);
}

export function removeSuffix(value: string, pattern: string, longest: boolean): string {
  const length = matchAtStart(reversed(value), reversed(pattern), longest);
  return length === undefined ? value : value.slice(0, value.length - length);
}

export function replacePattern(value: string, pattern: string, by: string, all: boolean): string {
  let result = '';
  let at = 0;
  while (at < value.length) {
    const length = matchAtStart(value.slice(at), pattern, true);
    if (length === undefined || length === 0) {
      result += value[at] ?? '';
      at += 1;
      continue;
    }
    result += by;
    at += length;
    if (!all) break;
  }
  return result + value.slice(at);
}

/** How many characters of the value the whole pattern covers. */
function matchAtStart(value: string, pattern: string, longest: boolean): number | undefined {
  if (value.length > MAX_VALUE_CHARACTERS || pattern.length > MAX_PATTERN_CHARACTERS) {
    throw new OciError(
      'limit',
      `a pattern has at most ${MAX_PATTERN_CHARACTERS} characters, its value at most ${MAX_VALUE_CHARACTERS}`,
    );
  }
  let places = withStars(new Set([0]), pattern);
  let found: number | undefined = places.has(pattern.length) ? 0 : undefined;
  for (let at = 0; at < value.length && places.size > 0; at += 1) {
    if (found !== undefined && !longest) return found;
    const next = new Set<number>();
    for (const place of places) {
      const wanted = pattern[place];
      if (wanted === '*') next.add(place);
      else if (wanted === '?' || wanted === value[at]) next.add(place + 1);
    }
    places = withStars(next, pattern);
    if (places.has(pattern.length)) found = at + 1;
  }
  return found;
}

/** A star may cover nothing. */
function withStars(places: ReadonlySet<number>, pattern: string): Set<number> {
  const all = new Set(places);
  for (const place of all) if (pattern[place] === '*') all.add(place + 1);
  return all;
}

function reversed(text: string): string {
  return Array.from(text).toReversed().join('');
}
