// What a rule saw in a file, for people: kinds and counts, never a part of the secret.

export interface Sighting {
  /** '3 with sha512crypt'. */
  readonly detail: string;
  /** Instead of the rule's: what is locked with a passphrase is worth less. */
  readonly worth?: number;
}

/** More are not counted. */
const MAX_COUNT = 2000;

/**
 * How often `pattern` (global, and linear: no repetition inside another) is found; undefined where it is not.
 */
export function counted(text: string, pattern: RegExp, one: string, many = `${one}s`): Sighting | undefined {
  let count = 0;
  for (const _ of text.matchAll(pattern)) {
    count += 1;
    if (count >= MAX_COUNT) break;
  }
  return count === 0 ? undefined : { detail: `${String(count)} ${count === 1 ? one : many}` };
}
