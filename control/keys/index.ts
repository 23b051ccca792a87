// The public names of @ringwall/control/keys: secrets in memory, the root key, keys that sign, and keys wrapped under it.
export { openRootKey } from './root-key.ts';
export {
  isSignedByItsHost,
  keyRequestMessage,
  newRecipient,
  sealKey,
  type Recipient,
  type UnsignedKeyRequest,
} from './sealed-key.ts';
export { Secret } from './secret.ts';
export { openSigningKey, rewrapSigningKey, type SigningKey } from './signing-key.ts';
export { ROOT_KEY_BYTES, unwrapKey, wrapKey, WRAPPED_LIMIT_BYTES, type KeyIdentity } from './wrapped-key.ts';
