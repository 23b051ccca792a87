// How a host is called: after the key of its vTPM CA, so that no two hosts share an id unless they share that key.
import { KnownBytes, unshared } from '@ringwall/bytes';
import { parseCertificate } from '../x509.ts';

/** RFC 4648 section 6, in lower case: as in the other ids. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
/** 100 bits. */
const ID_CHARACTERS = 20;
/** A broker of some hundred hosts; 4 KiB each at most. */
const MAX_KEYS = 1024;
const KEYS = new KnownBytes<Uint8Array>(MAX_KEYS);

/** `host_` and 20 characters. Throws ParseError where the certificate (DER) cannot be read. */
export async function hostIdOf(vtpmCa: Uint8Array): Promise<string> {
  const spki = keyOfCa(vtpmCa);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', unshared(spki)));
  const characters = Array.from({ length: ID_CHARACTERS }, (_, index) => BASE32[(hash[index] ?? 0) & 31]);
  return `host_${characters.join('')}`;
}

/** SubjectPublicKeyInfo of a certificate (DER), which a host's quote vouches for. Throws ParseError. */
export function keyOfCa(vtpmCa: Uint8Array): Uint8Array {
  const known = KEYS.get(vtpmCa);
  if (known !== undefined) return new Uint8Array(known);
  const { spki } = parseCertificate(vtpmCa);
  KEYS.set(vtpmCa, spki);
  return new Uint8Array(spki);
}
