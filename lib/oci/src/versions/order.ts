// What the orders of all ecosystems are made of.

export type Order = -1 | 0 | 1;
export type CompareVersions = (one: string, other: string) => Order;

export function orderOf<T extends number | string>(one: T, other: T): Order {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Digits of any length: versions hold dates and hashes, and no number type is long enough. Empty counts as 0. */
export function compareDigits(one: string, other: string): Order {
  const [a, b] = [withoutZeros(one), withoutZeros(other)];
  return orderOf(a.length, b.length) || orderOf(a, b);
}

/** The first that differs, with `missing` where one list is shorter. */
export function compareLists<T>(
  one: readonly T[],
  other: readonly T[],
  missing: T,
  compare: (a: T, b: T) => Order,
): Order {
  for (let index = 0; index < Math.max(one.length, other.length); index += 1) {
    const order = compare(one[index] ?? missing, other[index] ?? missing);
    if (order !== 0) return order;
  }
  return 0;
}

export function isDigits(text: string): boolean {
  return /^\d+$/.test(text);
}

export function reverse(order: Order): Order {
  return order === 0 ? 0 : order === 1 ? -1 : 1;
}

function withoutZeros(digits: string): string {
  let start = 0;
  while (digits[start] === '0') start += 1;
  return digits.slice(start);
}
