// What a rule of exposure is: a kind of file that is worth something to whoever gets hold of a disk. The rules themselves
// are data, in rules/.
import type { FileContent } from './file-content.ts';
import type { Sighting } from './sighting.ts';

export const EXPOSURE_CATEGORIES = [
  'credentials', // passwords and what they are derived from
  'private-keys',
  'tokens', // what logs in without a password
  'cloud',
  'cluster',
  'histories', // what people typed
  'certificates', // who trusts whom
  'databases',
  'mail',
  'memory', // swap, hibernation, core dumps: what was in memory, passwords and keys among it
] as const;

export type ExposureCategory = (typeof EXPOSURE_CATEGORIES)[number];

export interface ExposureRule {
  /** Stable: ignore files and scripts rely on it. */
  readonly id: string;
  readonly category: ExposureCategory;
  /** What the thief has then, as a noun phrase. */
  readonly title: string;
  /** Why that matters: one sentence. */
  readonly reason: string;
  /** CWE numbers and techniques of MITRE ATT&CK. */
  readonly references: readonly string[];
  /** What it is worth to a thief: 1 (a hint) to 90 (this machine, or others, are theirs). */
  readonly worth: number;
  /** Patterns as in path-pattern.ts. */
  readonly paths: readonly string[];
  /** Prefixes of paths that are not meant: what packages ship is no secret. */
  readonly except?: readonly string[];
  /**
   * Looks whether the contents are what the name promises; undefined where they are not. Without it the name is enough.
   * What it says is for people and never holds a part of the secret.
   */
  readonly recognise?: (content: FileContent) => Sighting | undefined;
  /** The contents alone are enough: deleted files, of which no name is left, are looked at by this rule, too. */
  readonly byContentAlone?: boolean;
}

/** What packages bring, examples and test data among it. */
export const SHIPPED: readonly string[] = ['/usr/share/', '/usr/lib/', '/usr/lib64/', '/usr/src/', '/snap/'];
