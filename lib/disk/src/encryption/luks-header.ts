// What both versions of LUKS say, in one form: who can open the disk, how a key is known to be right, where the data are.
import type { CipherSpec } from './cipher-spec.ts';
import type { KeyDerivation } from './key-derivation.ts';

export interface LuksHeader {
  readonly version: 1 | 2;
  readonly uuid: string;
  /** '' where there is none; LUKS1 has none. */
  readonly label: string;
  readonly slots: readonly LuksSlot[];
  /** Ways in that are no passphrase (`systemd-tpm2`, `clevis`): their types. */
  readonly tokens: readonly string[];
  readonly digests: readonly LuksDigest[];
  readonly segment: LuksSegment;
  /** What a reader should know of the state of the header, for people. */
  readonly notes: readonly string[];
}

/** One way from a passphrase to the volume key. */
export interface LuksSlot {
  readonly number: number;
  /** Of the volume key. */
  readonly keyBytes: number;
  readonly derivation: KeyDerivation;
  /** How the stripes of the key are encrypted; undefined where this library does not decrypt it. */
  readonly cipher: CipherSpec | undefined;
  readonly stripes: number;
  readonly stripeHash: string;
  /** Where the stripes lie, from the start of the header. */
  readonly offset: number;
}

/** By which a volume key is known to be right. */
export interface LuksDigest {
  readonly slots: readonly number[];
  readonly derivation: KeyDerivation;
  readonly digest: Uint8Array;
}

export interface LuksSegment {
  /** From the start of the header. */
  readonly offset: number;
  /** Undefined: up to the end of whatever holds it. */
  readonly length: number | undefined;
  /** As the header names it. */
  readonly encryption: string;
  /** Undefined where this library does not decrypt it; `refusal` says why. */
  readonly cipher: CipherSpec | undefined;
  readonly refusal: string;
  readonly sectorBytes: number;
  /** Sectors of 512 bytes, added to the number of each. */
  readonly firstSector: number;
  /** The authentication of each sector, where there is one. */
  readonly integrity: string | undefined;
}

/** TKS1 asks for enough that no disk remaps all of them; cryptsetup has always used 4,000. */
export const MAX_STRIPES = 8000;
/** Two keys of AES-256; the largest of cryptsetup is 512 bits, and integrity adds a key for HMAC. */
export const MAX_KEY_BYTES = 128;
