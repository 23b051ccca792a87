// Text from a bundle as a person may read it: what would be invisible, or would turn the order of the text around it, is
// written out (Unicode TR 36 section 2, UAX 9). Markup needs no care: the page makes text nodes only.

/** Control and format characters, line and paragraph separators, private use, lone surrogates, and what is unassigned. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}\u115f\u1160\u3164\uffa0\u00ad]/gu;
/** Combining marks upon one letter: more than any script needs, and they climb over the lines above. */
const MARKS = /(\p{M}{4})\p{M}+/gu;
/** Spaces that look like the usual one, or like none. */
const ODD_SPACES = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/gu;

export function visibleText(text: string): string {
  return text
    .replaceAll(
      UNSEEN,
      (character) => `[U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
    )
    .replaceAll(MARKS, '$1[…]')
    .replaceAll(ODD_SPACES, ' ');
}
