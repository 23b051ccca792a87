// Semantic Versioning 2.0.0, section 11, as npm, Go modules and crates.io use it: also with a leading `v`, and where fewer
// than three numbers stand. NuGet has a fourth number and knows no case (NuGet documentation, "Package versioning").
import { compareDigits, compareLists, isDigits, orderOf, type Order } from './order.ts';

const SEMVER_NUMBERS = 3;
const NUGET_NUMBERS = 4;

export function compareSemver(one: string, other: string): Order {
  return compareParsed(parse(one, SEMVER_NUMBERS), parse(other, SEMVER_NUMBERS));
}

export function compareNuget(one: string, other: string): Order {
  return compareParsed(parse(one.toLowerCase(), NUGET_NUMBERS), parse(other.toLowerCase(), NUGET_NUMBERS));
}

interface Parsed {
  readonly numbers: readonly string[];
  readonly prerelease: readonly string[];
}

function parse(version: string, most: number): Parsed {
  const [text = ''] = version.trim().replace(/^[vV]/, '').split('+');
  const numbers: string[] = [];
  let rest = text;
  while (numbers.length < most) {
    const [whole, digits = ''] = (numbers.length === 0 ? /^(\d+)/ : /^\.(\d+)/).exec(rest) ?? [];
    if (whole === undefined) break;
    numbers.push(digits);
    rest = rest.slice(whole.length);
  }
  return { numbers, prerelease: rest.startsWith('-') ? rest.slice(1).split('.') : [] };
}

function compareParsed(one: Parsed, other: Parsed): Order {
  const order = compareLists(one.numbers, other.numbers, '0', compareDigits);
  if (order !== 0) return order;
  if (one.prerelease.length === 0 || other.prerelease.length === 0) {
    return orderOf(one.prerelease.length === 0 ? 1 : 0, other.prerelease.length === 0 ? 1 : 0);
  }
  return compareLists<string | undefined>(one.prerelease, other.prerelease, undefined, compareIdentifier);
}

function compareIdentifier(one: string | undefined, other: string | undefined): Order {
  if (one === undefined || other === undefined) return orderOf(one === undefined ? 0 : 1, other === undefined ? 0 : 1);
  const [a, b] = [isDigits(one), isDigits(other)];
  if (a && b) return compareDigits(one, other);
  return a === b ? orderOf(one, other) : orderOf(a ? 0 : 1, b ? 0 : 1);
}
