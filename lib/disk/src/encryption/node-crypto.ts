// Node's ciphers, digests and key derivations: WebCrypto has neither AES-XTS nor Argon2, and is asynchronous.
import type * as NodeCrypto from 'node:crypto';

let loaded: typeof NodeCrypto | undefined;

/** Loaded by the first disk that is encrypted: a program that meets none starts in four fifths of the time. */
export function nodeCrypto(): typeof NodeCrypto {
  return (loaded ??= process.getBuiltinModule('node:crypto'));
}
