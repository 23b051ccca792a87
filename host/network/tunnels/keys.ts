// Keys of WireGuard: X25519 (RFC 7748). A private one is made here and given to nobody but this host's WireGuard.
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';

const KEY_BYTES = 32;
/** RFC 8410, 7: a PKCS #8 private key of X25519 is this and its 32 bytes. */
const PKCS8_PREFIX: Buffer = Buffer.from('302e020100300506032b656e04220420', 'hex');

export function newTunnelKey(): Uint8Array {
  const { privateKey } = generateKeyPairSync('x25519');
  return new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-KEY_BYTES));
}

export function tunnelPublicKey(privateKey: Uint8Array): Uint8Array {
  const der = Buffer.concat([PKCS8_PREFIX, privateKey]);
  try {
    const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
    return new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES));
  } finally {
    der.fill(0);
  }
}
