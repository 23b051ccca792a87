// What a registry wants to know before it answers. RFC 9110, section 11.6.1 (WWW-Authenticate); RFC 6750; Distribution's "Token
// Authentication Specification".

/** A header that a stranger sends. */
const MAX_CHALLENGE_CHARACTERS = 4096;

export interface Challenge {
  readonly scheme: 'bearer' | 'basic';
  readonly parameters: ReadonlyMap<string, string>;
}

/** The first that we can answer; undefined where there is none. */
export function parseChallenge(header: string): Challenge | undefined {
  const text = header.slice(0, MAX_CHALLENGE_CHARACTERS);
  const scheme = /^\s*(?<scheme>bearer|basic)\b/i.exec(text)?.groups?.['scheme']?.toLowerCase();
  if (scheme !== 'bearer' && scheme !== 'basic') return undefined;
  const parameters = new Map<string, string>();
  for (const match of text.matchAll(/([A-Za-z][\w-]*)="([^"\\]*)"/g)) {
    const [, name = '', value = ''] = match;
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value);
  }
  return { scheme, parameters };
}

/** Milliseconds that a server asks us to wait: seconds or a date (RFC 9110, section 10.2.3). */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
