// Versions of RPM packages: `[epoch:]version[-release]`. rpm-version(7), and the tilde and caret of rpm 4.15. What is no
// ASCII letter, digit, tilde or caret only separates.
import { compareDigits, isDigits, orderOf, type Order } from './order.ts';

export function compareRpm(one: string, other: string): Order {
  const [a, b] = [parse(one), parse(other)];
  return (
    compareDigits(a.epoch, b.epoch) ||
    comparePart(a.version, b.version) ||
    // No release is below any, the empty one too.
    orderOf(a.release === undefined ? 0 : 1, b.release === undefined ? 0 : 1) ||
    comparePart(a.release ?? '', b.release ?? '')
  );
}

function parse(text: string): { epoch: string; version: string; release: string | undefined } {
  const [, epoch = '', rest = ''] = /^(?:(\d+):)?(.*)$/s.exec(text) ?? [];
  const hyphen = rest.lastIndexOf('-');
  return hyphen < 0
    ? { epoch, version: rest, release: undefined }
    : { epoch, version: rest.slice(0, hyphen), release: rest.slice(hyphen + 1) };
}

function comparePart(one: string, other: string): Order {
  const [a, b] = [tokens(one), tokens(other)];
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const order = compareToken(a[index], b[index]);
    if (order !== 0) return order;
  }
  return 0;
}

function tokens(text: string): readonly string[] {
  return text.match(/\d+|[A-Za-z]+|~|\^/g) ?? [];
}

/** A tilde is before the end, a caret after it and before all else; digits are after letters. */
function compareToken(one: string | undefined, other: string | undefined): Order {
  if (one === other) return 0;
  if (one === '~' || other === '~') return one === '~' ? -1 : 1;
  if (one === undefined || other === undefined) return one === undefined ? -1 : 1;
  if (one === '^' || other === '^') return one === '^' ? -1 : 1;
  if (isDigits(one) && isDigits(other)) return compareDigits(one, other);
  if (isDigits(one)) return 1;
  return isDigits(other) ? -1 : orderOf(one, other);
}
