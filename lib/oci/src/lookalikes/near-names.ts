// An index of known names, and the one that a written name resembles most. Built once; a look-up scans the names with one
// comparison of two bit sets each, and measures only the few that could be near.
import { describeEdit, editDistance, MAX_COMPARED_CHARACTERS, MAX_EDITS, type Edit } from './edits.ts';
import { shapeOf, withoutSeparators } from './shapes.ts';

export type Likeness = Edit['slip'] | 'same-shape' | 'separators';

export interface Resemblance {
  readonly known: string;
  readonly likeness: Likeness;
  /** From 0, another name, to 1, the same to the eye. */
  readonly score: number;
}

export interface NameIndex {
  readonly names: readonly string[];
  readonly has: (name: string) => boolean;
  /** The best, where any is near; none for a name that is known itself. */
  readonly nearest: (written: string) => Resemblance | undefined;
}

const SCORES: Readonly<Record<Likeness, number>> = {
  'same-shape': 0.95,
  swapped: 0.92,
  separators: 0.86,
  doubled: 0.88,
  dropped: 0.84,
  'neighbour-key': 0.84,
  sound: 0.84,
  added: 0.8,
  changed: 0.6,
  moved: 0.8,
  'two-slips': 0.62,
};
/** Short names are near to many others: `go` to half of all words of two letters. By the length of the shorter one. */
const TRUST_BY_LENGTH: readonly number[] = [0, 0, 0.3, 0.6, 0.78, 0.92];
/** Numbers count versions and instances; a part of one letter tells siblings apart (`service-a`, `service-b`). */
const SIBLING_FACTOR = 0.4;
const PLURAL_FACTOR = 0.7;
/** People seldom miss the first letter, and `rocker` is no `docker`. */
const FIRST_LETTER_FACTOR = 0.75;
/** Two slips are a slip twice only in a name that is long enough to make them. */
const MIN_CHARACTERS_FOR_TWO_SLIPS = 7;
const LONG_NAME_CHARACTERS = 8;
const MIN_CHARACTERS_FOR_A_MOVE = 5;
const MIN_CHARACTERS_WITHOUT_SEPARATORS = 6;

export function compileNames(known: Iterable<string>): NameIndex {
  const unique = new Set(known);
  const names = [...unique];
  const letterSets = Uint32Array.from(names, letterSet);
  const lengths = Uint8Array.from(names, (name) => Math.min(name.length, MAX_COMPARED_CHARACTERS + 1));
  const byShape = new Map(names.map((name): [string, string] => [shapeOf(name), name]));
  const byLetters = new Map(names.map((name): [string, string] => [withoutSeparators(name), name]));

  const nearest = (written: string): Resemblance | undefined => {
    if (unique.has(written)) return undefined;
    const shape = byShape.get(shapeOf(written));
    if (shape !== undefined) return { known: shape, likeness: 'same-shape', score: SCORES['same-shape'] };
    const letters = withoutSeparators(written);
    const separated = letters.length < MIN_CHARACTERS_WITHOUT_SEPARATORS ? undefined : byLetters.get(letters);
    if (separated !== undefined) return { known: separated, likeness: 'separators', score: SCORES.separators };
    let best: Resemblance | undefined;
    const mine = letterSet(written);
    for (let index = 0; index < names.length; index += 1) {
      // Each edit adds or removes at most one letter on either side.
      if (Math.abs((lengths[index] ?? 0) - written.length) > MAX_EDITS) continue;
      if (bitCount((letterSets[index] ?? 0) ^ mine) > 2 * MAX_EDITS) continue;
      const resemblance = resemble(written, names[index] ?? '');
      if (resemblance !== undefined && resemblance.score > (best?.score ?? 0)) best = resemblance;
    }
    return best;
  };
  return { names, has: (name) => unique.has(name), nearest };
}

function resemble(written: string, known: string): Resemblance | undefined {
  const distance = editDistance(written, known);
  if (distance === undefined || distance === 0) return undefined;
  const edit = describeEdit(written, known, distance);
  const score = SCORES[edit.slip] * trustIn(written, known, edit);
  return score === 0 ? undefined : { known, likeness: edit.slip, score };
}

function trustIn(written: string, known: string, edit: Edit): number {
  const length = Math.min(written.length, known.length);
  if (tellsSiblingsApart(written, known, edit)) return SIBLING_FACTOR;
  if (edit.slip === 'moved') return length < MIN_CHARACTERS_FOR_A_MOVE || written[0] !== known[0] ? 0 : 1;
  if (edit.slip === 'two-slips') {
    // Two letters more at one end are another word: `portainer`, `portainerci`.
    const atOneEnd = edit.at === 0 || edit.at + edit.written.length === written.length;
    const oneSided = edit.written === '' || edit.known === '';
    if (length < MIN_CHARACTERS_FOR_TWO_SLIPS || (oneSided && atOneEnd) || written[0] !== known[0]) return 0;
    return length < LONG_NAME_CHARACTERS ? 0.85 : 1;
  }
  const byLength = TRUST_BY_LENGTH[length] ?? 1;
  const atEnd = edit.at + edit.written.length === written.length;
  const first = edit.at === 0 && edit.slip !== 'swapped' ? FIRST_LETTER_FACTOR : 1;
  const plural =
    edit.slip !== 'doubled' &&
    atEnd &&
    (edit.written === 's' || edit.known === 's') &&
    (edit.written === '' || edit.known === '');
  return byLength * first * (plural ? PLURAL_FACTOR : 1);
}

function tellsSiblingsApart(written: string, known: string, edit: Edit): boolean {
  if (edit.slip === 'swapped') return /^\d*$/.test(edit.written);
  if (edit.slip === 'two-slips') return /^[\d._-]*$/.test(edit.written) && /^[\d._-]*$/.test(edit.known);
  if (/^\d*$/.test(edit.written) && /^\d*$/.test(edit.known)) return true;
  return partCharacters(written, edit.at) <= 1 && partCharacters(known, edit.at) <= 1;
}

/** Of the part between separators in which the character stands. */
function partCharacters(name: string, at: number): number {
  const isSeparator = (index: number): boolean => '-_.'.includes(name[index] ?? '-');
  let [start, end] = [at, at];
  while (start > 0 && !isSeparator(start - 1)) start -= 1;
  while (end < name.length && !isSeparator(end)) end += 1;
  return end - start;
}

function letterSet(name: string): number {
  let set = 0;
  for (let index = 0; index < name.length; index += 1) set |= 1 << (name.charCodeAt(index) & 31);
  return set >>> 0;
}

function bitCount(set: number): number {
  let rest = set;
  rest -= (rest >>> 1) & 0x5555_5555;
  rest = (rest & 0x3333_3333) + ((rest >>> 2) & 0x3333_3333);
  return Math.imul((rest + (rest >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
