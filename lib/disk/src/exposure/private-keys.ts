// Recognises private keys in their containers and says whether a passphrase locks them: PEM (RFC 7468, and OpenSSL's
// older way), OpenSSH (PROTOCOL.key), PuTTY, OpenPGP, PKCS #12 and Java key stores.
import type { FileContent } from './file-content.ts';
import type { Sighting } from './sighting.ts';

/** A passphrase can be guessed, at the thief's leisure. */
const WORTH_WHEN_LOCKED = 20;
/** A file that holds more than this many keys holds many. */
const COUNTED_KEYS = 100;

const PEM_KEY = /-----BEGIN ([A-Z0-9 ]{0,24})PRIVATE KEY( BLOCK)?-----/g;
/** 'openssh-key-v1', NUL, then the length and name of the cipher. */
const OPENSSH_MAGIC = 'openssh-key-v1\0';
const CIPHER_NAME = { lengthAt: 15, at: 19, maxBytes: 32 } as const;

export function recognisePem({ text }: FileContent): Sighting | undefined {
  const kinds = new Set<string>();
  let count = 0;
  let locked = 0;
  for (const match of text.matchAll(PEM_KEY)) {
    count += 1;
    if (count > COUNTED_KEYS) break;
    const kind = (match[1] ?? '').trim();
    const body = text.slice(match.index + match[0].length, match.index + match[0].length + 512);
    if (isLocked(kind, body)) locked += 1;
    kinds.add(kind === '' || kind === 'ENCRYPTED' ? 'PKCS #8' : kind);
  }
  if (count === 0) return undefined;
  const what = `${String(count)} ${[...kinds].join(', ')} private ${count === 1 ? 'key' : 'keys'}`;
  if (locked === 0) return { detail: `${what}, without a passphrase` };
  if (locked === count) return { detail: `${what}, with a passphrase`, worth: WORTH_WHEN_LOCKED };
  return { detail: `${what}, ${String(count - locked)} without a passphrase` };
}

export function recognisePutty({ text }: FileContent): Sighting | undefined {
  const match = /^PuTTY-User-Key-File-\d: ([a-z0-9-]{1,40})\r?\nEncryption: ([a-z0-9-]{1,20})/.exec(text);
  if (match === null) return undefined;
  const [, kind = '', cipher = ''] = match;
  if (cipher === 'none') return { detail: `${kind}, without a passphrase` };
  return { detail: `${kind}, with a passphrase`, worth: WORTH_WHEN_LOCKED };
}

/** Both containers are made with a password, and many with an empty or a usual one. */
export function recogniseKeyStore(content: FileContent): Sighting | undefined {
  if (content.startsWith([0xfe, 0xed, 0xfe, 0xed])) return { detail: 'a Java key store' };
  if (content.startsWith([0xce, 0xce, 0xce, 0xce])) return { detail: 'a Java key store (JCEKS)' };
  // SEQUENCE, its length in two bytes or more, then INTEGER 3: the version of a PFX (RFC 7292, 4).
  for (const lengthBytes of [1, 2, 3]) {
    if (content.startsWith([0x30, 0x80 | lengthBytes]) && content.startsWith([0x02, 0x01, 0x03], 2 + lengthBytes)) {
      return { detail: 'a PKCS #12 key store' };
    }
  }
  return undefined;
}

function isLocked(kind: string, body: string): boolean {
  if (kind === 'ENCRYPTED' || /^\s*Proc-Type: 4,ENCRYPTED/.test(body)) return true;
  if (kind !== 'OPENSSH') return false;
  const bytes = decodeBase64(body.replaceAll(/\s/g, '').slice(0, 128));
  if (!bytes.startsWith(OPENSSH_MAGIC)) return false;
  const length = bytes.charCodeAt(CIPHER_NAME.lengthAt + 3);
  if (!(length <= CIPHER_NAME.maxBytes)) return false;
  return bytes.slice(CIPHER_NAME.at, CIPHER_NAME.at + length) !== 'none';
}

/** As one character for each byte; '' where it is none. */
function decodeBase64(text: string): string {
  const clean = /^[A-Za-z0-9+/]*/.exec(text)?.[0] ?? '';
  return atob(clean.slice(0, clean.length - (clean.length % 4)));
}
