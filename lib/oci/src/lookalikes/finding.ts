// What is said about one part of a name, and how a resemblance reads as a sentence.
import type { Likeness } from './near-names.ts';

export type NamePart = 'host' | 'namespace' | 'repository' | 'tag';

export interface PartFinding {
  readonly part: NamePart;
  /** From 0, nothing, to 1, a trap. */
  readonly score: number;
  /** The name that was probably meant, as people write it. */
  readonly intended: string;
  /** A sentence, lower case, without full stop. */
  readonly reason: string;
}

/** Why a name is known, the strongest first. */
export const STANDINGS = ['allowed', 'protected', 'used', 'official', 'well-known'] as const;
export type Standing = (typeof STANDINGS)[number];

const WHO: Readonly<Record<Standing, string>> = {
  allowed: 'a name on the allow-list',
  protected: 'a protected name',
  used: 'a name that has been used here before',
  official: 'an official image',
  'well-known': 'a widely used image',
};

const HOW: Readonly<Record<Likeness, string>> = {
  'same-shape': 'looks the same as',
  separators: 'has other separators than',
  swapped: 'swaps two letters of',
  doubled: 'doubles a letter of',
  dropped: 'drops a letter of',
  added: 'adds a letter to',
  'neighbour-key': 'has the key beside the right one in',
  sound: 'sounds like',
  changed: 'changes one letter of',
  moved: 'has the letters in another order than',
  'two-slips': 'is two slips away from',
};

export function sentence(written: string, likeness: Likeness, known: string, who: string): string {
  return `“${written}” ${HOW[likeness]} “${known}”, ${who}`;
}

export function describeStanding(standing: Standing): string {
  return WHO[standing];
}
