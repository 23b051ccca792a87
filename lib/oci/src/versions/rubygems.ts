// Versions of Ruby gems: `Gem::Version` of RubyGems (guides.rubygems.org, "Patterns"). Letters make a pre-release.
import { compareDigits, isDigits, orderOf, type Order } from './order.ts';

export function compareRubygems(one: string, other: string): Order {
  const [a, b] = [segments(one), segments(other)];
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const order = compareSegment(a[index] ?? '0', b[index] ?? '0');
    if (order !== 0) return order;
  }
  return 0;
}

function segments(version: string): readonly string[] {
  const all =
    version
      .trim()
      .replaceAll('-', '.pre.')
      .match(/\d+|[A-Za-z]+/g) ?? [];
  const letters = all.findIndex((segment) => !isDigits(segment));
  const release = letters < 0 ? all : all.slice(0, letters);
  return [...withoutTrailingZeros(release), ...withoutTrailingZeros(letters < 0 ? [] : all.slice(letters))];
}

function withoutTrailingZeros(list: readonly string[]): readonly string[] {
  return list.slice(0, list.findLastIndex((segment) => !/^0+$/.test(segment)) + 1);
}

function compareSegment(one: string, other: string): Order {
  const [a, b] = [isDigits(one), isDigits(other)];
  if (a && b) return compareDigits(one, other);
  return a === b ? orderOf(one, other) : orderOf(a ? 1 : 0, b ? 1 : 0);
}
