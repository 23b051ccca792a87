// Versions of Debian and Ubuntu packages: `[epoch:]upstream[-revision]`. Debian Policy 4.17, section 5.6.12.
import { compareDigits, orderOf, type Order } from './order.ts';

export function compareDpkg(one: string, other: string): Order {
  const [a, b] = [parse(one), parse(other)];
  return compareDigits(a.epoch, b.epoch) || comparePart(a.upstream, b.upstream) || comparePart(a.revision, b.revision);
}

function parse(version: string): { epoch: string; upstream: string; revision: string } {
  const [, epoch = '', rest = ''] = /^(?:(\d+):)?(.*)$/s.exec(version.trim()) ?? [];
  const hyphen = rest.lastIndexOf('-');
  return hyphen < 0
    ? { epoch, upstream: rest, revision: '' }
    : { epoch, upstream: rest.slice(0, hyphen), revision: rest.slice(hyphen + 1) };
}

/** In turns what is no digit, by weight, and digits, by value. */
function comparePart(one: string, other: string): Order {
  let [a, b] = [0, 0];
  while (a < one.length || b < other.length) {
    while (isOther(one, a) || isOther(other, b)) {
      const order = orderOf(weight(one, a), weight(other, b));
      if (order !== 0) return order;
      a += 1;
      b += 1;
    }
    const [endOfOne, endOfOther] = [endOfDigits(one, a), endOfDigits(other, b)];
    const order = compareDigits(one.slice(a, endOfOne), other.slice(b, endOfOther));
    if (order !== 0) return order;
    [a, b] = [endOfOne, endOfOther];
  }
  return 0;
}

/** A tilde comes before the end, the end before letters, letters before everything else. */
function weight(text: string, at: number): number {
  const character = text[at];
  if (character === undefined || isDigit(character)) return 0;
  if (character === '~') return -1;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 256;
}

function isOther(text: string, at: number): boolean {
  const character = text[at];
  return character !== undefined && !isDigit(character);
}

function isDigit(character: string): boolean {
  return character >= '0' && character <= '9';
}

function endOfDigits(text: string, start: number): number {
  let end = start;
  while (end < text.length && isDigit(text[end] ?? '')) end += 1;
  return end;
}
