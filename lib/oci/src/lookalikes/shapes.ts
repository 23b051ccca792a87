// What a name looks like to a person: its letters replaced by those that they are taken for. Two names of one shape are
// told apart by nobody. Letters after Unicode Technical Standard 39 (`confusables.txt`): those that look like what a
// reference may hold, a to z, 0 to 9, and pairs that run together in common fonts.

/** Each group is seen as its first character. */
const LOOK_ALIKE_LETTERS: readonly (readonly [seen: string, written: string])[] = [
  ['a', 'аɑαạȧ'],
  ['b', 'Ьƅ'],
  ['c', 'сϲⅽ'],
  ['d', 'ԁⅾɗ'],
  ['e', 'еҽẹė'],
  ['f', 'ƒϝ'],
  ['g', 'ɡց'],
  ['h', 'һհ'],
  // i, l and 1 are one stroke.
  ['l', '1iıіӏǀⅼḷɩ|'],
  ['j', 'јϳ'],
  ['k', 'κкⱪ'],
  ['m', 'мⅿṃ'],
  ['n', 'ոпṇ'],
  ['o', '0оοօѳọσ'],
  ['p', 'рρ'],
  ['q', 'ԛգ'],
  ['r', 'гɾ'],
  ['s', '5ѕꜱṣ'],
  ['t', 'тτṭ'],
  ['u', 'υսụʋ'],
  ['v', 'νѵⅴ'],
  ['w', 'ԝѡωա'],
  ['x', 'хχⅹ'],
  ['y', 'уγүỵ'],
  ['z', 'ᴢż'],
  ['.', '․。．'],
  ['-', '‐‑‒–—−'],
];
const SEEN: ReadonlyMap<string, string> = new Map(
  LOOK_ALIKE_LETTERS.flatMap(([seen, written]) => Array.from(written, (letter): [string, string] => [letter, seen])),
);
/** Pairs that run together. */
const PAIRS: readonly (readonly [written: RegExp, seen: string])[] = [
  [/rn/g, 'm'],
  [/vv/g, 'w'],
  [/cl/g, 'd'],
];
const MARKS = /\p{M}/gu;

/** Equal for names that look alike. Not a name itself. */
export function shapeOf(name: string): string {
  return runTogether(
    Array.from(name, (letter) => SEEN.get(letter) ?? (isAscii(letter) ? letter : asciiOf(letter))).join(''),
  );
}

/** The name in the letters that a keyboard has, where each foreign one looks like one of them; for "did you mean". */
export function asAscii(text: string): string | undefined {
  const ascii = Array.from(text, (letter) => (isAscii(letter) ? letter : (SEEN.get(letter) ?? asciiOf(letter)))).join(
    '',
  );
  return /^\p{ASCII}*$/u.test(ascii) ? ascii : undefined;
}

/** Letters and digits alone: what stays when separators are dropped, swapped or moved. */
export function withoutSeparators(name: string): string {
  return name.replaceAll(/[-_./:]/g, '');
}

function isAscii(letter: string): boolean {
  return letter < '\u0080';
}

/** Without accents and width; nothing of characters that nobody sees. */
function asciiOf(letter: string): string {
  if (/\p{Cf}/u.test(letter)) return '';
  const plain = letter.normalize('NFKD').replaceAll(MARKS, '').toLowerCase();
  return Array.from(plain, (part) => SEEN.get(part) ?? part).join('');
}

function runTogether(name: string): string {
  return PAIRS.reduce((text, [written, seen]) => text.replaceAll(written, seen), name);
}
