// Versions of PHP packages: PHP's `version_compare`, which Composer uses (php.net, "version_compare").
import { compareDigits, isDigits, orderOf, reverse, type Order } from './order.ts';

/** By how a word begins; `#` stands for a number. A word that is none of these comes before all. */
const FORMS: readonly string[] = ['dev', 'a', 'b', 'rc', '#', 'p'];

export function compareComposer(one: string, other: string): Order {
  const [a, b] = [parts(one), parts(other)];
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index += 1) {
    const order = comparePart(a[index] ?? '', b[index] ?? '');
    if (order !== 0) return order;
  }
  return beyond(a.slice(shared)) || reverse(beyond(b.slice(shared)));
}

function parts(version: string): readonly string[] {
  return version
    .trim()
    .replace(/^v/i, '')
    .replaceAll(/[-_+]/g, '.')
    .replaceAll(/(?<=[^\d.])(?=\d)|(?<=\d)(?=[^\d.])/g, '.')
    .split('.');
}

function comparePart(one: string, other: string): Order {
  if (isDigits(one) && isDigits(other)) return compareDigits(one, other);
  return orderOf(formOf(one), formOf(other));
}

/** What one version has more than the other: a number makes it later, a word what it says. */
function beyond([first, ...rest]: readonly string[]): Order {
  if (first === undefined) return 0;
  if (isDigits(first)) return 1;
  return orderOf(formOf(first), FORMS.indexOf('#')) || beyond(rest);
}

function formOf(part: string): number {
  if (isDigits(part)) return FORMS.indexOf('#');
  const word = part.startsWith('RC') ? 'rc' : part;
  return FORMS.findIndex((form) => word.startsWith(form));
}
