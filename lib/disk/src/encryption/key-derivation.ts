// From a passphrase to a key, as a header of LUKS says: PBKDF2 (RFC 8018) or Argon2 (RFC 9106). The header belongs to
// whoever made the disk, so each derivation is paid from a budget before it begins.
import { DiskError } from '../disk-error.ts';
import { nodeCrypto } from './node-crypto.ts';

export type KeyDerivation =
  | { readonly kind: 'pbkdf2'; readonly hash: string; readonly iterations: number; readonly salt: Uint8Array }
  | {
      readonly kind: 'argon2i' | 'argon2id';
      readonly passes: number;
      readonly memoryKib: number;
      readonly lanes: number;
      readonly salt: Uint8Array;
    };

/** What opening one header may cost at most, over all its key slots. */
export interface KeyDerivationLimits {
  /** Of PBKDF2: cryptsetup chooses what takes two seconds, some millions; this is about half a minute. */
  readonly iterations: number;
  /** Memory of one Argon2, in KiB: cryptsetup never chooses more than this. */
  readonly memoryKib: number;
  /** Memory of Argon2 in KiB, times its passes: about half a minute. */
  readonly memoryKibPasses: number;
}

export const KEY_DERIVATION_LIMITS: KeyDerivationLimits = {
  iterations: 40_000_000,
  memoryKib: 2 ** 20,
  memoryKibPasses: 32 * 2 ** 20,
};

export class KeyDerivationBudget {
  readonly #limits: KeyDerivationLimits;
  #iterations = 0;
  #memoryKibPasses = 0;

  constructor(limits: KeyDerivationLimits) {
    this.#limits = limits;
  }

  /** `length` bytes out of `passphrase`. Throws `DiskError` (`limit`) where that would cost more than is left. */
  derive(passphrase: Uint8Array, derivation: KeyDerivation, length: number): Uint8Array {
    if (derivation.kind === 'pbkdf2') {
      const { iterations, hash, salt } = derivation;
      this.#iterations += iterations;
      refuseAbove('iterations of PBKDF2', this.#iterations, this.#limits.iterations);
      return nodeCrypto().pbkdf2Sync(passphrase, salt, iterations, length, hash);
    }
    const { kind, memoryKib, passes, lanes, salt } = derivation;
    this.#memoryKibPasses += memoryKib * passes;
    refuseAbove(`KiB of ${kind}`, memoryKib, this.#limits.memoryKib);
    refuseAbove(`KiB of ${kind} times its passes`, this.#memoryKibPasses, this.#limits.memoryKibPasses);
    return nodeCrypto().argon2Sync(kind, {
      message: passphrase,
      nonce: salt,
      parallelism: lanes,
      tagLength: length,
      memory: memoryKib,
      passes,
    });
  }
}

function refuseAbove(what: string, asked: number, limit: number): void {
  if (asked > limit) throw new DiskError('limit', `key slots ask for ${asked} ${what}, expected at most ${limit}`);
}
