// What looks at the files of a layer while they stream by. Its facts depend on that one layer alone, so they are kept by the
// layer's digest, and a base that many images share is read once.
import type { TarEntry } from '../layers/tar-entry.ts';

/** What JSON can carry: facts are kept in a file. */
export type FactValue = string | number | boolean | null | readonly FactValue[] | { readonly [key: string]: FactValue };

/** What an inspector asks for before it takes more than it was given. */
export interface InspectorRoom {
  /** For more than `LARGE_FILE_BYTES` of memory: of all that read layers of the image, one has as much at a time. May wait. */
  readonly holdLarge: () => void;
  /** For so many bytes out of an archive. Throws OciError `limit`, which is the image's. */
  readonly unpack: (bytes: number) => void;
}

export interface Inspector {
  /** As in `dpkg/1`. The number grows whenever the same file would give other facts: kept ones are then not used. */
  readonly id: string;
  /**
   * How many of the entry's first bytes it needs; 0 where the entry says it all; undefined where it is of no interest.
   * Asked for each of some hundred thousand entries: cheap.
   */
  readonly wants: (entry: TarEntry) => number | undefined;
  /**
   * `bytes` is as long as asked for, or as the file. Whoever made the image controls every byte: what cannot be read is a
   * fact, not an error. The bytes are overwritten after the call.
   */
  readonly inspect: (entry: TarEntry, bytes: Uint8Array, room: InspectorRoom) => readonly FactValue[];
  /**
   * Takes out of a fact what must be neither kept nor shown, such as a hash. Applied to every fact, after its finisher where
   * there is one and before anything is kept.
   */
  readonly redact?: (value: FactValue) => FactValue;
}

/**
 * Says of an inspector's facts what only a program of the host can, before they are redacted and kept: once for each layer,
 * in the main thread, with effects that whoever made it was given.
 */
export interface FactFinisher {
  /** The id of the inspector whose facts it takes. */
  readonly inspector: string;
  /** As in `crypt/1`; stands beside the inspector's where facts are kept, for without it they would be others. */
  readonly id: string;
  readonly finish: (facts: readonly Fact[]) => Promise<readonly Fact[]>;
}

/** A fact, and where it is from. */
export interface Fact {
  /** Of the inspector. */
  readonly inspector: string;
  /** From the root, without a slash at either end. */
  readonly path: string;
  readonly value: FactValue;
}
