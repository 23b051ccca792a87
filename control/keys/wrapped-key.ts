// Keys at rest: AES-256-GCM (NIST SP 800-38D) under a root key, with the identity of the wrapped object as associated
// data, so that a wrapped key which is moved to another machine's row, or replaced by an older one, does not open.
//
// Format: 'RWK' ‖ 0x01 ‖ nonce (12) ‖ ciphertext ‖ tag (16). The nonce is random: a root key wraps a handful of keys a
// machine, far below the 2³² that SP 800-38D section 8.3 allows for random nonces.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { RingwallError } from '@ringwall/api';
import { Secret } from './secret.ts';

export const ROOT_KEY_BYTES: number = 32;

/** A wrapped key holds a private key or a disk key; nothing larger is wrapped. */
export const WRAPPED_LIMIT_BYTES: number = 4096;

const MAGIC = Uint8Array.of(0x52, 0x57, 0x4b, 0x01);
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = MAGIC.length + NONCE_BYTES;

/** What the key is for. All three are authenticated: a key of one object never opens as that of another. */
export interface KeyIdentity {
  /** E.g. 'disk-key'. */
  readonly kind: string;
  /** E.g. a machine id. */
  readonly id: string;
  /** Counts up when the object gets a new key. */
  readonly version: number;
}

export function wrapKey(root: Secret, identity: KeyIdentity, key: Secret): Uint8Array<ArrayBuffer> {
  if (key.length === 0 || key.length > WRAPPED_LIMIT_BYTES) throw new TypeError('a key of no or of absurd length');
  const nonce = randomBytes(NONCE_BYTES);
  using wrapping = wrappingKey(root);
  const cipher = createCipheriv('aes-256-gcm', wrapping.expose(), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associatedData(identity));
  const ciphertext = cipher.update(key.expose());
  cipher.final();
  const wrapped = new Uint8Array(HEADER_BYTES + ciphertext.length + TAG_BYTES);
  wrapped.set(MAGIC, 0);
  wrapped.set(nonce, MAGIC.length);
  wrapped.set(ciphertext, HEADER_BYTES);
  wrapped.set(cipher.getAuthTag(), HEADER_BYTES + ciphertext.length);
  return wrapped;
}

/** Throws where the bytes were altered, are another object's, or were wrapped by another root key. */
export function unwrapKey(root: Secret, identity: KeyIdentity, wrapped: Uint8Array): Secret {
  const keyBytes = wrapped.length - HEADER_BYTES - TAG_BYTES;
  if (keyBytes <= 0 || keyBytes > WRAPPED_LIMIT_BYTES || !MAGIC.every((byte, index) => wrapped[index] === byte)) {
    throw cannotOpen(identity, 'it is no wrapped key of a format known here');
  }
  using wrapping = wrappingKey(root);
  const nonce = wrapped.subarray(MAGIC.length, HEADER_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', wrapping.expose(), nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associatedData(identity));
  decipher.setAuthTag(wrapped.subarray(wrapped.length - TAG_BYTES));
  const plain = decipher.update(wrapped.subarray(HEADER_BYTES, wrapped.length - TAG_BYTES));
  try {
    decipher.final();
  } catch (error) {
    plain.fill(0);
    throw cannotOpen(identity, 'it was altered, moved, or wrapped by another root key', error);
  }
  return Secret.take(plain);
}

/** Length-prefixed, so that no two identities have the same bytes. */
function associatedData({ kind, id, version }: KeyIdentity): Uint8Array {
  if (!Number.isSafeInteger(version) || version < 0) throw new TypeError('a key version that is no whole number');
  const parts = ['ringwall-wrapped-key', kind, id, String(version)];
  return Buffer.concat(
    parts.map((part) => {
      const bytes = Buffer.from(part, 'utf8');
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return Buffer.concat([length, bytes]);
    }),
  );
}

/** The root key itself encrypts nothing: another use of it later cannot collide with this one. */
function wrappingKey(root: Secret): Secret {
  if (root.length !== ROOT_KEY_BYTES) throw new TypeError('a root key of the wrong length');
  return Secret.take(new Uint8Array(hkdfSync('sha256', root.expose(), '', 'ringwall wrap AES-256-GCM v1', 32)));
}

function cannotOpen({ kind, id }: KeyIdentity, why: string, cause?: unknown): RingwallError {
  return new RingwallError('internal', `the ${kind} of ${id} does not open: ${why}`, {
    hint: 'restore the state directory from a backup taken as a whole',
    cause,
  });
}
