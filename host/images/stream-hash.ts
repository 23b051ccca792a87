// The digest of bytes that come one after the other: here, or on a thread of its own beside whoever reads them.
import { createHash } from 'node:crypto';

export interface StreamHash {
  /** `bytes` may be overwritten when it returns. */
  readonly update: (bytes: Uint8Array) => void;
  /** In hexadecimal digits; once, after the last update. */
  readonly digest: () => Promise<string>;
}

export type OpenHash = (algorithm: string) => StreamHash;

/** Where starting a thread would take longer than the digest. */
export const hashHere: OpenHash = (algorithm) => {
  const hash = createHash(algorithm);
  return {
    update: (bytes) => void hash.update(bytes),
    // oxlint-disable-next-line require-await -- as one that a thread makes
    digest: async () => hash.digest('hex'),
  };
};
