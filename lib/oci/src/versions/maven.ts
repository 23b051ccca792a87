// Versions of Maven artefacts: lists of numbers, words and lists, as `ComparableVersion` of Maven 3 has them (Maven's POM
// reference, "Version Order Specification").
import { compareDigits, isDigits, orderOf, reverse, type Order } from './order.ts';

type Item = { readonly number: string } | { readonly word: string } | Item[];

/** In their order; the empty one is the release itself. Other words come after all of these. */
const QUALIFIERS: readonly string[] = ['alpha', 'beta', 'milestone', 'rc', 'snapshot', '', 'sp'];
const ALIASES: Readonly<Record<string, string>> = { ga: '', final: '', release: '', cr: 'rc' };
const BEFORE_A_DIGIT: Readonly<Record<string, string>> = { a: 'alpha', b: 'beta', m: 'milestone' };
/** A version of as many hyphens is nested as deep; recursion is bounded by it. */
const MAX_DEPTH = 256;

export function compareMaven(one: string, other: string): Order {
  return compareItems(parse(one), parse(other));
}

function parse(version: string): Item[] {
  const root: Item[] = [];
  const lists: Item[][] = [root];
  let list = root;
  const nest = (): void => {
    if (lists.length >= MAX_DEPTH) return;
    const inner: Item[] = [];
    list.push(inner);
    lists.push(inner);
    list = inner;
  };
  // Each token ends at a separator or where digits and letters meet; the end counts as a separator.
  const tokens =
    version
      .trim()
      .toLowerCase()
      .match(/\d+|[^\d.-]+|[.-]/g) ?? [];
  let afterToken = false;
  for (const [index, token] of tokens.entries()) {
    if (token === '.' || token === '-') {
      if (!afterToken) list.push({ number: '0' });
      if (token === '-') nest();
      afterToken = false;
      continue;
    }
    if (afterToken) nest();
    const next = tokens[index + 1] ?? '';
    list.push(isDigits(token) ? { number: token } : { word: qualifier(token, isDigits(next)) });
    afterToken = true;
  }
  for (const each of lists.toReversed()) {
    normalise(each);
    const [only] = each;
    if (each !== root && each.length === 1 && Array.isArray(only)) each.splice(0, 1, ...only);
  }
  return root;
}

function qualifier(word: string, beforeDigit: boolean): string {
  const long = beforeDigit && Object.hasOwn(BEFORE_A_DIGIT, word) ? (BEFORE_A_DIGIT[word] ?? word) : word;
  return Object.hasOwn(ALIASES, long) ? (ALIASES[long] ?? long) : long;
}

/** `1.0.0` is `1` and `1-ga-1` is `1-1`: what says nothing before a hyphen or the end goes. */
function normalise(list: Item[]): void {
  for (let index = list.length - 1; index >= 0; index -= 1) {
    const item = list[index];
    if (item === undefined || isNothing(item)) list.splice(index, 1);
    else if (!Array.isArray(item)) return;
  }
}

function isNothing(item: Item): boolean {
  if (Array.isArray(item)) return item.length === 0;
  return 'number' in item ? compareDigits(item.number, '') === 0 : item.word === '';
}

function compareItems(one: Item | undefined, other: Item | undefined): Order {
  if (one === undefined) return other === undefined ? 0 : reverse(compareWithNothing(other));
  if (other === undefined) return compareWithNothing(one);
  if (Array.isArray(one) && Array.isArray(other)) {
    for (let index = 0; index < Math.max(one.length, other.length); index += 1) {
      const order = compareItems(one[index], other[index]);
      if (order !== 0) return order;
    }
    return 0;
  }
  if (!Array.isArray(one) && !Array.isArray(other)) {
    if ('number' in one && 'number' in other) return compareDigits(one.number, other.number);
    if ('word' in one && 'word' in other) return compareWords(one.word, other.word);
  }
  return orderOf(rank(one), rank(other));
}

function compareWithNothing(item: Item): Order {
  if (Array.isArray(item)) {
    for (const inner of item) {
      const order = compareWithNothing(inner);
      if (order !== 0) return order;
    }
    return 0;
  }
  return 'number' in item ? compareDigits(item.number, '') : compareWords(item.word, '');
}

/** `1-sp` < `1-1` < `1.1`. */
function rank(item: Item): number {
  if (Array.isArray(item)) return 1;
  return 'number' in item ? 2 : 0;
}

function compareWords(one: string, other: string): Order {
  const [a, b] = [QUALIFIERS.indexOf(one), QUALIFIERS.indexOf(other)];
  if (a < 0 && b < 0) return orderOf(one, other);
  return orderOf(a < 0 ? QUALIFIERS.length : a, b < 0 ? QUALIFIERS.length : b);
}
