// Names made of a known name and a word that is to win trust or to seem a variant (combo-squats): `nginx-official`,
// `realpython`, `redis-latest`.

export interface Combination {
  readonly known: string;
  readonly word: string;
  /** `authority`: claims to be the genuine one. `variant`: claims to be a kind of it, as many honest names do. */
  readonly claim: 'authority' | 'variant';
}

const AUTHORITY: readonly string[] = [
  'official',
  'offical',
  'oficial',
  'officiel',
  'original',
  'genuine',
  'authentic',
  'verified',
  'trusted',
  'legit',
  'certified',
  'real',
  'upstream',
  'dockerhub',
  'docker-hub',
  'docker-official',
  'docker-library',
  'official-image',
  'official-images',
];
const VARIANT: readonly string[] = [
  'latest',
  'stable',
  'update',
  'updated',
  'patched',
  'fixed',
  'secure',
  'secured',
  'safe',
  'hardened',
  'image',
  'images',
  'docker',
  'container',
  'lib',
  'library',
  'team',
  'inc',
  'org',
  'project',
  'hq',
  'labs',
  'hub',
  'io',
  'com',
  'registry',
  'free',
  'pro',
  'premium',
  'plus',
  'new',
  'dev',
];
/** Joined without a separator these begin and end too many words: `reality`, `devops`. */
const ONLY_AS_A_PART = new Set([
  'real',
  'io',
  'com',
  'lib',
  'inc',
  'org',
  'hq',
  'new',
  'pro',
  'hub',
  'dev',
  'free',
  'plus',
  'team',
]);
const SEPARATORS = /^[-_.]+|[-_.]+$/g;

/** `has` knows the names that could be meant. */
export function findCombination(written: string, has: (name: string) => boolean): Combination | undefined {
  return (
    combinationWith(AUTHORITY, 'authority', written, has, true) ??
    combinationWith(VARIANT, 'variant', written, has, true)
  );
}

function combinationWith(
  words: readonly string[],
  claim: Combination['claim'],
  written: string,
  has: (name: string) => boolean,
  again: boolean,
): Combination | undefined {
  for (const word of words) {
    for (const rest of remaindersOf(written, word)) {
      if (has(rest)) return { known: rest, word, claim };
      // `official-nginx-image`: one word on either side.
      const inner = again
        ? (combinationWith(VARIANT, claim, rest, has, false) ?? combinationWith(AUTHORITY, claim, rest, has, false))
        : undefined;
      if (inner !== undefined) return { ...inner, word, claim };
    }
  }
  return undefined;
}

function remaindersOf(written: string, word: string): readonly string[] {
  const joined = !ONLY_AS_A_PART.has(word);
  const rests: string[] = [];
  if (written.startsWith(word)) rests.push(written.slice(word.length));
  if (written.endsWith(word)) rests.push(written.slice(0, written.length - word.length));
  return rests
    .filter((rest, index) => joined || (written.startsWith(word) && index === 0 ? /^[-_.]/ : /[-_.]$/).test(rest))
    .map((rest) => rest.replaceAll(SEPARATORS, ''))
    .filter((rest) => rest !== '');
}
