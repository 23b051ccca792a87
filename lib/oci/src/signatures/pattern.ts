// Patterns of a signature policy, for names of images and for identities: `*` is anything within one part, up to the next slash, and
// `**` anything at all. Everything else stands for itself, and a pattern is held against the whole text.

/** Each wildcard multiplies the places where the rest may begin; two bound the work by the square of the text. */
const MAX_WILDCARDS = 2;
/** Identities are URLs and addresses; certificates could hold more. */
const MAX_TEXT_CHARACTERS = 2048;

/** Why it is none, or undefined. */
export function patternFault(pattern: string): string | undefined {
  if (pattern === '' || pattern.length > MAX_TEXT_CHARACTERS) return 'is empty or too long';
  const wildcards = pattern.match(/\*+/g) ?? [];
  if (wildcards.some((wildcard) => wildcard.length > 2)) return 'has more than two “*” in a row';
  return wildcards.length > MAX_WILDCARDS ? `has more than ${String(MAX_WILDCARDS)} wildcards` : undefined;
}

/** False for a pattern that is none. */
export function matchesPattern(pattern: string, text: string): boolean {
  if (patternFault(pattern) !== undefined || text.length > MAX_TEXT_CHARACTERS) return false;
  const source = pattern
    .split(/(\*+)/)
    .map((part) => (part === '**' ? '[^]*' : part === '*' ? '[^/]*' : part.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&')))
    .join('');
  return new RegExp(`^${source}$`).test(text);
}
