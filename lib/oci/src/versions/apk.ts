// Versions of Alpine and Wolfi packages: `number{.number}{letter}{_suffix{number}}{~hash}{-rN}`. apk-package(5) of apk-tools,
// and for versions beyond that grammar what `apk version -t` of the 3.x line answers.
import { compareDigits, compareLists, orderOf, type Order } from './order.ts';

/** In their order; the empty one is a version without suffix. */
const SUFFIXES: readonly string[] = ['alpha', 'beta', 'pre', 'rc', '', 'cvs', 'svn', 'git', 'hg', 'p'];
const NO_SUFFIX: Suffix = { weight: SUFFIXES.indexOf(''), number: '' };

interface Suffix {
  readonly weight: number;
  readonly number: string;
}

interface ApkVersion {
  readonly text: string;
  readonly numbers: readonly string[];
  readonly letter: string;
  readonly suffixes: readonly Suffix[];
  readonly build: string;
  /** What the grammar has no place for. */
  readonly rest: string;
  readonly valid: boolean;
}

export function compareApk(one: string, other: string): Order {
  const [a, b] = [parse(one), parse(other)];
  if (!a.valid && !b.valid) return orderOf(a.text, b.text);
  return (
    compareNumbers(a.numbers, b.numbers) ||
    orderOf(a.letter, b.letter) ||
    compareLists(a.suffixes, b.suffixes, NO_SUFFIX, compareSuffix) ||
    compareDigits(a.build, b.build) ||
    orderOf(a.rest === '' ? 1 : 0, b.rest === '' ? 1 : 0)
  );
}

function parse(text: string): ApkVersion {
  const numeric = /^\d+(?:\.\d+)*/.exec(text)?.[0] ?? '';
  let rest = text.slice(numeric.length);
  const letter = /^[a-z]/.exec(rest)?.[0] ?? '';
  rest = rest.slice(letter.length);
  const suffixes: Suffix[] = [];
  for (;;) {
    const [whole, name = '', number = ''] = /^_(alpha|beta|pre|rc|cvs|svn|git|hg|p)(\d*)/.exec(rest) ?? [];
    if (whole === undefined) break;
    suffixes.push({ weight: SUFFIXES.indexOf(name), number });
    rest = rest.slice(whole.length);
  }
  rest = rest.replace(/^~[0-9a-f]+/, '');
  const [whole, build = ''] = /^-r(\d*)/.exec(rest) ?? [];
  return {
    text,
    numbers: numeric === '' ? [] : numeric.split('.'),
    letter,
    suffixes,
    build,
    rest: rest.slice(whole?.length ?? 0),
    valid: whole !== undefined || rest === '',
  };
}

/** All but the first are fractions where either begins with a zero; a missing one comes before any. */
function compareNumbers(one: readonly string[], other: readonly string[]): Order {
  for (let index = 0; index < Math.max(one.length, other.length); index += 1) {
    const [a, b] = [one[index], other[index]];
    if (a === undefined || b === undefined) return a === undefined ? -1 : 1;
    const fraction = index > 0 && (a.startsWith('0') || b.startsWith('0'));
    const order = fraction ? orderOf(a, b) : compareDigits(a, b);
    if (order !== 0) return order;
  }
  return 0;
}

function compareSuffix(one: Suffix, other: Suffix): Order {
  return orderOf(one.weight, other.weight) || compareDigits(one.number, other.number);
}
