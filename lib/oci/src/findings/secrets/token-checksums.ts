// Checks that tell a real token from what only looks like one: checksums that issuers put into their tokens, and structure.

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const CRC32_POLYNOMIAL = 0xedb88320;
const CHECKSUM_CHARACTERS = 6;

/**
 * GitHub's and npm's: the last six characters are the CRC-32 (IEEE 802.3) of what stands between prefix and them, in base 62.
 * GitHub, "Behind GitHub's new authentication token formats", 2021.
 */
export function hasCrc32Suffix(token: string, prefix: string): boolean {
  const body = token.slice(prefix.length, -CHECKSUM_CHARACTERS);
  let rest = crc32(body);
  let digits = '';
  for (let count = 0; count < CHECKSUM_CHARACTERS; count += 1) {
    digits = `${BASE62[rest % 62] ?? ''}${digits}`;
    rest = Math.floor(rest / 62);
  }
  return token.endsWith(digits);
}

/** Of ASCII text. */
export function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let at = 0; at < text.length; at += 1) {
    crc ^= text.charCodeAt(at) & 0xff;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (CRC32_POLYNOMIAL & -(crc & 1));
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** BIP 173, "Checksum", as age writes its keys: all of one case, the last `1` parts prefix and data. */
export function isBech32(text: string): boolean {
  const lower = text.toLowerCase();
  const separator = lower.lastIndexOf('1');
  const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
  const prefix = Array.from(lower.slice(0, separator), (character) => character.charCodeAt(0));
  const data = Array.from(lower.slice(separator + 1), (character) => alphabet.indexOf(character));
  if (separator < 1 || data.includes(-1)) return false;
  let sum = 1;
  for (const value of [...prefix.map((code) => code >>> 5), 0, ...prefix.map((code) => code & 31), ...data]) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    for (const [bit, generator] of GENERATORS.entries()) if (((top >>> bit) & 1) === 1) sum ^= generator;
  }
  return sum === 1;
}

const GENERATORS: readonly number[] = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

/** RFC 7519 and RFC 7515: two objects, the first with `alg`, and a signature. */
export function isSignedJwt(token: string): boolean {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const parsed = jsonOf(header);
  const claims = jsonOf(payload);
  if (parsed === undefined || claims === undefined) return false;
  // The one of jwt.io and of every tutorial.
  if (claims['name'] === 'John Doe' || claims['sub'] === '1234567890') return false;
  return typeof parsed['alg'] === 'string' && parsed['alg'].toLowerCase() !== 'none' && signature.length >= 22;
}

function jsonOf(base64url: string): Readonly<Record<string, unknown>> | undefined {
  const text = decodeBase64(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One character for each byte; undefined where it is no Base64. */
export function decodeBase64(text: string): string | undefined {
  const clean = text.replace(/=+$/, '');
  if (clean.length % 4 === 1 || !/^[A-Za-z0-9+/]*$/.test(clean)) return undefined;
  return atob(clean);
}

/** RFC 7468 around a SEQUENCE of DER that fills it (RFC 5208, RFC 8017), or around OpenSSH's own container. */
export function holdsKey(label: string, body: string): boolean {
  // Headers of the older, encrypted form end in an empty line.
  const base64 = body.replace(/^(?:\s*[A-Za-z-]+: [^\n]*\n)+\s*/, '').replaceAll(/\s|\\n|\\r/g, '');
  const bytes = decodeBase64(base64);
  if (bytes === undefined || bytes.length < SMALLEST_KEY_BYTES || new Set(base64).size < LEAST_CHARACTERS) return false;
  if (label === 'OPENSSH') return bytes.startsWith('openssh-key-v1\0');
  if (/Proc-Type: 4,ENCRYPTED/.test(body)) return true;
  if (label.includes('PGP')) return true;
  if (bytes.charCodeAt(0) !== 0x30) return false;
  const first = bytes.charCodeAt(1);
  if (first < 0x80) return bytes.length === 2 + first;
  let length = 0;
  for (let at = 0; at < (first & 0x7f); at += 1) length = length * 256 + bytes.charCodeAt(2 + at);
  return bytes.length === 2 + (first & 0x7f) + length;
}

/** An Ed25519 key in PKCS #8 has 48. */
const SMALLEST_KEY_BYTES = 40;
/** Of the 64: a key is random, a drawing of one repeats itself. */
const LEAST_CHARACTERS = 16;

/** Bits a character, after Shannon, of the text itself. */
export function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

/** How random Base64 or base 62 of this length is at least: short ones repeat little and have few characters to show. */
export function isRandom(text: string): boolean {
  return entropyOf(text) >= Math.min(4, Math.log2(text.length) - 0.9);
}
