// How a host is called: after the key of its vTPM CA, so that no two hosts share an id unless they share that key.
import { unshared } from '@ringwall/bytes';
import { parseCertificate } from '../x509.ts';

/** RFC 4648 section 6, in lower case: as in the other ids. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
/** 100 bits. */
const ID_CHARACTERS = 20;

/** `host_` and 20 characters. Throws ParseError where the certificate (DER) cannot be read. */
export async function hostIdOf(vtpmCa: Uint8Array): Promise<string> {
  const { spki } = parseCertificate(vtpmCa);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', unshared(spki)));
  const characters = Array.from({ length: ID_CHARACTERS }, (_, index) => BASE32[(hash[index] ?? 0) & 31]);
  return `host_${characters.join('')}`;
}

/** SubjectPublicKeyInfo of a certificate (DER), which a host's quote vouches for. Throws ParseError. */
export function keyOfCa(vtpmCa: Uint8Array): Uint8Array {
  return parseCertificate(vtpmCa).spki;
}
