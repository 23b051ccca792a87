// Which writing systems a host label mixes (Unicode Technical Standard 39, section 5.2, "Highly Restrictive"): a label of
// two scripts is how `gооgle` is written with Cyrillic letters.

const SCRIPTS: readonly (readonly [name: string, letters: RegExp])[] = [
  ['Latin', /\p{Script=Latin}/u],
  ['Cyrillic', /\p{Script=Cyrillic}/u],
  ['Greek', /\p{Script=Greek}/u],
  ['Han', /\p{Script=Han}/u],
  ['Hiragana', /\p{Script=Hiragana}/u],
  ['Katakana', /\p{Script=Katakana}/u],
  ['Hangul', /\p{Script=Hangul}/u],
  ['Bopomofo', /\p{Script=Bopomofo}/u],
  ['Armenian', /\p{Script=Armenian}/u],
  ['Hebrew', /\p{Script=Hebrew}/u],
  ['Arabic', /\p{Script=Arabic}/u],
  ['Devanagari', /\p{Script=Devanagari}/u],
  ['Thai', /\p{Script=Thai}/u],
  ['Georgian', /\p{Script=Georgian}/u],
  ['Cherokee', /\p{Script=Cherokee}/u],
];
const NO_SCRIPT = /[\p{Script=Common}\p{Script=Inherited}]/u;
/** Japanese, Chinese with its phonetic letters, and Korean are each written in several scripts. */
const WRITTEN_TOGETHER: readonly (readonly string[])[] = [
  ['Latin', 'Han', 'Hiragana', 'Katakana'],
  ['Latin', 'Han', 'Bopomofo'],
  ['Latin', 'Han', 'Hangul'],
];

/** The scripts, where no language writes them together; undefined where the label is of one piece. */
export function mixedScripts(label: string): readonly string[] | undefined {
  const scripts = new Set(
    Array.from(label)
      .filter((character) => !NO_SCRIPT.test(character))
      .map((character) => SCRIPTS.find(([, letters]) => letters.test(character))?.[0] ?? 'another script'),
  );
  const names = [...scripts];
  const together = names.length < 2 || WRITTEN_TOGETHER.some((group) => names.every((name) => group.includes(name)));
  return together ? undefined : names;
}
