// Exchanges one value somewhere in a JSON document, for tests that ask what becomes of it.

/** The document with the value at one of its places (modulo how many there are) made another; `undefined` takes the key away. */
export function exchange(json: unknown, at: number, other: (value: unknown) => unknown): unknown {
  const places: [target: Record<string, unknown>, key: string][] = [];
  const copy: unknown = structuredClone(json);
  const visit = (value: unknown): void => {
    const target: Record<string, unknown> = Object(value);
    if (target !== value) return;
    for (const key of Object.keys(target)) {
      places.push([target, key]);
      visit(target[key]);
    }
  };
  visit(copy);
  const [target, key] = places[at % places.length] ?? [];
  if (target === undefined || key === undefined) return copy;
  const made = other(target[key]);
  if (made === undefined && !Array.isArray(target)) delete target[key];
  else target[key] = made;
  return copy;
}
