// One-pass Diffie-Hellman with a key in a TPM, TPM 2.0 Part 1 section C.6.1.

import { unshared } from '@ringwall/bytes';
import type { TPMT_PUBLIC_ECC } from '../structures/public-area.ts';
import { curveOf, importEcc } from '../structures/public-key.ts';
import { TpmError } from '../tpm-error.ts';

/** A fresh point and the x coordinate of its product with the key; all at the width of the field. */
export async function ephemeralPoint(
  key: TPMT_PUBLIC_ECC,
): Promise<{ readonly x: Uint8Array; readonly y: Uint8Array; readonly z: Uint8Array }> {
  const curve = curveOf(key);
  const algorithm = { name: 'ECDH', namedCurve: curve.name };
  const theirs = await importEcc(key, 'ECDH');
  const ours = await crypto.subtle.generateKey(algorithm, false, ['deriveBits']);
  if (!('privateKey' in ours)) throw new TpmError('unsupported', 'ECDH gave one key, expected a pair');
  const z = await crypto.subtle.deriveBits({ name: 'ECDH', public: theirs }, ours.privateKey, curve.bytes * 8);
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', ours.publicKey));
  return {
    x: point.slice(1, 1 + curve.bytes),
    y: point.slice(1 + curve.bytes),
    z: unshared(new Uint8Array(z)),
  };
}
