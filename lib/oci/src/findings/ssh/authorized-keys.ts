// Keys that may log in: the file authorized_keys as sshd(8) describes it, and public keys as RFC 4253, 6.6 and RFC 8709 write
// them. Whoever made the image controls every byte.
import { Cursor, ParseError } from '@ringwall/bytes';
import { decodeBase64 } from '../secrets/token-checksums.ts';

/** People have a few; a gateway has some thousands. */
const MAX_KEYS = 2000;
const MAX_COMMENT_CHARACTERS = 80;
const MAX_LINE_CHARACTERS = 16_384;

export interface AuthorizedKey {
  /** `ssh-ed25519`. */
  readonly type: string;
  /** Of an RSA or DSA key its modulus; 0 where the type says it. */
  readonly bits: number;
  /** Whom it names, as whoever wrote the line chose; '' where it names nobody. */
  readonly comment: string;
  /** Everybody has its private half. */
  readonly isPublished: boolean;
}

const TYPES =
  /(?:^|[ \t])((?:sk-)?(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp(?:256|384|521))(?:@openssh\.com)?|(?:ssh|ecdsa|sk)-[\w-]{1,40}-cert-v01@openssh\.com)[ \t]+([A-Za-z0-9+/]{16,12000}={0,2})(?:[ \t]+([^\n]*))?/;
/** The beginning of the modulus of Vagrant's key, whose private half is on GitHub. */
const PUBLISHED: readonly string[] = [
  'AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8',
];

export function parseAuthorizedKeys(text: string): readonly AuthorizedKey[] {
  const keys: AuthorizedKey[] = [];
  for (const line of text.split('\n')) {
    if (keys.length >= MAX_KEYS) break;
    if (line.length > MAX_LINE_CHARACTERS || /^\s*(?:#|$)/.test(line)) continue;
    const [, type, blob = '', comment = ''] = TYPES.exec(line) ?? [];
    if (type === undefined) continue;
    keys.push({
      type,
      bits: modulusBits(type, blob),
      comment: comment.trim().slice(0, MAX_COMMENT_CHARACTERS),
      isPublished: PUBLISHED.some((known) => blob.startsWith(known)),
    });
  }
  return keys;
}

/** NIST SP 800-131A: less than 2,048 bits of RSA, and DSA at all, are not to be used. */
export function isWeak({ type, bits }: AuthorizedKey): boolean {
  return type === 'ssh-dss' || (type === 'ssh-rsa' && bits > 0 && bits < 2048);
}

function modulusBits(type: string, blob: string): number {
  if (type !== 'ssh-rsa' && type !== 'ssh-dss') return 0;
  const bytes = decodeBase64(blob);
  if (bytes === undefined) return 0;
  try {
    const cursor = new Cursor(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
    const next = (field: string): Uint8Array => cursor.take(cursor.u32be(field), field);
    next('type');
    if (type === 'ssh-rsa') next('exponent');
    const modulus = next('modulus');
    const first = modulus.findIndex((byte) => byte !== 0);
    return first < 0 ? 0 : (modulus.length - first) * 8 - Math.clz32(modulus[first] ?? 0) + 24;
  } catch (error) {
    if (error instanceof ParseError) return 0;
    throw error;
  }
}
