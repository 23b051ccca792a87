// Reads an object whose keys are all known: each is taken once, and what is left over at the end is refused.
import { NetPolicyError } from './netpolicy-error.ts';

export class ClosedObject {
  readonly #values: Map<string, unknown>;
  readonly at: string;

  constructor(value: unknown, at: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new NetPolicyError('malformed', at, 'is not an object');
    }
    this.#values = new Map(Object.entries(value));
    this.at = at;
  }

  where(key: string): string {
    return this.at === '' ? key : `${this.at}.${key}`;
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  value(key: string): unknown {
    if (!this.#values.has(key)) throw new NetPolicyError('malformed', this.where(key), 'is missing');
    const value = this.#values.get(key);
    this.#values.delete(key);
    return value;
  }

  text(key: string): string {
    return asText(this.value(key), this.where(key));
  }

  flag(key: string): boolean {
    if (!this.has(key)) return false;
    const value = this.value(key);
    if (typeof value !== 'boolean') throw new NetPolicyError('malformed', this.where(key), 'is neither true nor false');
    return value;
  }

  oneOf<const T extends string | number>(key: string, allowed: readonly T[]): T {
    const value = this.value(key);
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw new NetPolicyError('malformed', this.where(key), `is not ${allowed.join(' or ')}`);
    return found;
  }

  list<T>(key: string, limit: number, read: (item: unknown, at: string) => T): T[] {
    const value = this.value(key);
    if (!Array.isArray(value)) throw new NetPolicyError('malformed', this.where(key), 'is not a list');
    if (value.length > limit) {
      throw new NetPolicyError('too-many', this.where(key), `has ${value.length} items, at most ${limit}`);
    }
    // Not `map`, which passes over holes: a caller in JavaScript can hand in anything.
    return Array.from(value, (item, index) => read(item, `${this.where(key)}[${index}]`));
  }

  /** An object whose keys are data; each with its place. */
  entries(key: string, limit: number): [name: string, value: unknown, at: string][] {
    const value = this.value(key);
    const found = [...new ClosedObject(value, this.where(key)).#values];
    if (found.length > limit) {
      throw new NetPolicyError('too-many', this.where(key), `has ${found.length} keys, at most ${limit}`);
    }
    return found.map(([name, inner]) => [name, inner, `${this.where(key)}.${name.slice(0, MAX_KEY_SHOWN)}`]);
  }

  end(): void {
    const [unknown] = this.#values.keys();
    if (unknown !== undefined) {
      throw new NetPolicyError(
        'malformed',
        this.at,
        `has the unknown key ${JSON.stringify(unknown.slice(0, MAX_KEY_SHOWN))}`,
      );
    }
  }
}

/** Characters of a key of somebody else that a message repeats. */
const MAX_KEY_SHOWN = 40;

export function asText(value: unknown, at: string): string {
  if (typeof value !== 'string') throw new NetPolicyError('malformed', at, 'is not a text');
  return value;
}
