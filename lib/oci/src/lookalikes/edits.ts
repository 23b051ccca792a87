// How far two names are apart, and by which slip of the hand: Damerau-Levenshtein distance in the form of optimal string
// alignment (a letter dropped, added, changed, or swapped with the next).

/** Further apart is another name. */
export const MAX_EDITS = 2;
/** The grammar allows 255. Longer ones are compared by shape alone. */
export const MAX_COMPARED_CHARACTERS = 128;

export type Slip =
  | 'swapped'
  | 'doubled'
  | 'dropped'
  | 'added'
  | 'neighbour-key'
  | 'sound'
  | 'changed'
  | 'moved'
  | 'two-slips';

/** Rows of a keyboard; neighbours are left, right, above and below. */
const KEYBOARD: readonly string[] = ['1234567890-', 'qwertyuiop', 'asdfghjkl', 'zxcvbnm'];
const SOUND_ALIKE: readonly string[] = ['ck', 'cs', 'sz', 'iy', 'ie', 'ae', 'kq', 'vw', 'gj', 'ou'];

/** At most MAX_EDITS, or undefined. */
export function editDistance(one: string, other: string): number | undefined {
  if (Math.abs(one.length - other.length) > MAX_EDITS) return undefined;
  if (Math.max(one.length, other.length) > MAX_COMPARED_CHARACTERS) return undefined;
  // What both begin and end with costs nothing, and names of one family share most of themselves.
  const start = sharedPrefix(one, other);
  const most = Math.min(one.length, other.length) - start;
  let end = 0;
  while (end < most && one.charCodeAt(one.length - 1 - end) === other.charCodeAt(other.length - 1 - end)) end += 1;
  const [rows, columns] = [one.length - start - end, other.length - start - end];
  if (rows === 0 || columns === 0) return Math.max(rows, columns);
  return distanceOfMiddles(one.slice(start, start + rows), other.slice(start, start + columns));
}

/** Written over by each measurement, and read by none after it: ten thousand of them make no garbage. */
const ROWS: readonly Uint8Array[] = Array.from({ length: 3 }, () => new Uint8Array(MAX_COMPARED_CHARACTERS + 1));

function distanceOfMiddles(one: string, other: string): number | undefined {
  const beyond = MAX_EDITS + 1;
  let [twoAbove = new Uint8Array(0), above = new Uint8Array(0), current = new Uint8Array(0)] = ROWS;
  for (let column = 0; column <= other.length; column += 1) above[column] = Math.min(column, beyond);
  for (let row = 1; row <= one.length; row += 1) {
    const first = Math.max(1, row - MAX_EDITS);
    const last = Math.min(other.length, row + MAX_EDITS);
    current[first - 1] = first === 1 ? Math.min(row, beyond) : beyond;
    let least = current[first - 1] ?? beyond;
    for (let column = first; column <= last; column += 1) {
      const same = one.charCodeAt(row - 1) === other.charCodeAt(column - 1);
      let value = (above[column - 1] ?? beyond) + (same ? 0 : 1);
      // Outside the band of the row above lies what an earlier measurement left.
      if (column < row + MAX_EDITS) value = Math.min(value, (above[column] ?? beyond) + 1);
      value = Math.min(value, (current[column - 1] ?? beyond) + 1);
      if (
        row > 1 &&
        column > 1 &&
        one.charCodeAt(row - 1) === other.charCodeAt(column - 2) &&
        one.charCodeAt(row - 2) === other.charCodeAt(column - 1)
      ) {
        value = Math.min(value, (twoAbove[column - 2] ?? beyond) + 1);
      }
      current[column] = Math.min(value, beyond);
      least = Math.min(least, value);
    }
    if (least > MAX_EDITS) return undefined;
    [twoAbove, above, current] = [above, current, twoAbove];
  }
  const distance = above[other.length] ?? beyond;
  return distance > MAX_EDITS ? undefined : distance;
}

function sharedPrefix(one: string, other: string): number {
  let start = 0;
  while (start < one.length && start < other.length && one.charCodeAt(start) === other.charCodeAt(start)) start += 1;
  return start;
}

export interface Edit {
  readonly slip: Slip;
  /** What stands in the written name, and what in the other, between the parts that they share. */
  readonly written: string;
  readonly known: string;
  /** Index in the written name. */
  readonly at: number;
}

/** What turned `known` into `written`, which are `distance` apart. */
export function describeEdit(written: string, known: string, distance: number): Edit {
  const start = sharedPrefix(written, known);
  let end = 0;
  const most = Math.min(written.length, known.length) - start;
  while (end < most && written[written.length - 1 - end] === known[known.length - 1 - end]) end += 1;
  const [was, is] = [known.slice(start, known.length - end), written.slice(start, written.length - end)];
  const edit = (slip: Slip): Edit => ({ slip, written: is, known: was, at: start });
  if (distance > 1) return edit(haveSameLetters(is, was) ? 'moved' : 'two-slips');
  if (is.length === 2) return edit('swapped');
  const neighbours = [written[start - 1], written[start + is.length]];
  if (was === '') return edit(neighbours.includes(is) ? 'doubled' : 'added');
  if (is === '') return edit('dropped');
  if (areNeighbourKeys(is, was)) return edit('neighbour-key');
  return edit(SOUND_ALIKE.some((pair) => pair.includes(is) && pair.includes(was)) ? 'sound' : 'changed');
}

export function areNeighbourKeys(one: string, other: string): boolean {
  const [a, b] = [keyOf(one), keyOf(other)];
  if (a === undefined || b === undefined) return false;
  const [rows, columns] = [a.row - b.row, a.column - b.column];
  // Each row stands half a key to the right of the one above.
  return rows === 0 ? Math.abs(columns) === 1 : Math.abs(rows) === 1 && (columns === 0 || columns === rows * -1);
}

/** `phyton`: a letter has moved by more than one place. */
function haveSameLetters(one: string, other: string): boolean {
  return one.length === other.length && Array.from(one).toSorted().join('') === Array.from(other).toSorted().join('');
}

function keyOf(letter: string): { row: number; column: number } | undefined {
  const row = KEYBOARD.findIndex((keys) => keys.includes(letter));
  return row < 0 ? undefined : { row, column: KEYBOARD[row]?.indexOf(letter) ?? 0 };
}
