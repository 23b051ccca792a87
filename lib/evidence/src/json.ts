// Closed JSON objects: every key is asked for by name, an unknown key is refused, every size has a bound.

import { fromHex } from '@ringwall/bytes';

/** `+275760-09-13T00:00:00.000Z` is the last time that there is. */
const MAX_TIME_CHARACTERS = 32;

/** What a reader calls with a sentence that says what is wrong and where. */
export type Refuse = (message: string) => never;

/** Reads one JSON object; `end()` refuses the keys that nobody asked for. */
export class ClosedObject {
  readonly #values: Map<string, unknown>;
  readonly #path: string;
  readonly #refuse: Refuse;

  constructor(value: unknown, path: string, refuse: Refuse) {
    this.#values = new Map(Object.entries(plainObject(value, path, refuse)));
    this.#path = path;
    this.#refuse = refuse;
  }

  /** Whether an optional key is there. */
  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** Takes the key where its value is this very word. */
  is(key: string, word: string): boolean {
    return this.#values.get(key) === word && this.#values.delete(key);
  }

  /** For a reader that checks all of it. */
  value(key: string): unknown {
    return this.#take(key);
  }

  object(key: string): ClosedObject {
    return new ClosedObject(this.#take(key), `${this.#path}.${key}`, this.#refuse);
  }

  /** An object that is an item of a list of this one. */
  inner(item: unknown, path: string): ClosedObject {
    return new ClosedObject(item, path, this.#refuse);
  }

  /** Whether the value is a text, where it may be something else; `has` it too. */
  isText(key: string): boolean {
    return typeof this.#values.get(key) === 'string';
  }

  refuse(key: string, what: string): never {
    return this.#refuse(`${this.#path}.${key} ${what}`);
  }

  boolean(key: string): boolean {
    const value = this.#take(key);
    return typeof value === 'boolean' ? value : this.refuse(key, 'is neither true nor false');
  }

  array<T>(key: string, limit: number, read: (item: unknown, path: string) => T): T[] {
    const value = this.#take(key);
    if (!Array.isArray(value)) return this.#refuse(`${this.#path}.${key} is not a list`);
    if (value.length > limit) return this.#refuse(`${this.#path}.${key} has ${value.length} items, at most ${limit}`);
    // Not `map`, which passes over holes: a caller in JavaScript can hand in anything.
    return Array.from(value, (item, index) => read(item, `${this.#path}.${key}[${index}]`));
  }

  strings(key: string, limit: number, maxCharacters: number): string[] {
    return this.array(key, limit, (item, path) => this.#checkString(item, path, maxCharacters));
  }

  string(key: string, maxCharacters: number): string {
    return this.#checkString(this.#take(key), `${this.#path}.${key}`, maxCharacters);
  }

  matching(key: string, pattern: RegExp, form: string): string {
    const value = this.#take(key);
    if (typeof value !== 'string' || !pattern.test(value)) return this.#refuse(`${this.#path}.${key} is not ${form}`);
    return value;
  }

  /** An item of a list, which `array` hands to its reader. */
  textMatching(item: unknown, path: string, pattern: RegExp, form: string): string {
    return typeof item === 'string' && pattern.test(item) ? item : this.#refuse(`${path} is not ${form}`);
  }

  oneOf<const T extends string | number>(key: string, allowed: readonly T[]): T {
    const value = this.#take(key);
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) return this.#refuse(`${this.#path}.${key} is not ${allowed.join(' or ')}`);
    return found;
  }

  integer(key: string, min: number, max: number): number {
    return checkInteger(this.#take(key), `${this.#path}.${key}`, min, max, this.#refuse);
  }

  /** As `toISOString` writes it, and in no other way. */
  time(key: string): Date {
    const text = this.string(key, MAX_TIME_CHARACTERS);
    const at = new Date(text);
    const isTime = !Number.isNaN(at.getTime()) && at.toISOString() === text;
    return isTime ? at : this.refuse(key, 'is not a time as toISOString() writes it');
  }

  /** As many bytes as these, in lower-case hexadecimal. */
  hexBytes(key: string, bytes: number): Uint8Array {
    return fromHex(this.matching(key, new RegExp(`^[0-9a-f]{${bytes * 2}}$`), `${bytes} bytes in hexadecimal`));
  }

  end(): void {
    const [unknown] = this.#values.keys();
    if (unknown !== undefined)
      this.#refuse(`${this.#path} has the unknown key ${JSON.stringify(unknown.slice(0, 40))}`);
  }

  #take(key: string): unknown {
    if (!this.#values.has(key)) return this.#refuse(`${this.#path}.${key} is missing`);
    const value = this.#values.get(key);
    this.#values.delete(key);
    return value;
  }

  #checkString(value: unknown, path: string, maxCharacters: number): string {
    if (typeof value !== 'string') return this.#refuse(`${path} is not a text`);
    if (value.length > maxCharacters) {
      return this.#refuse(`${path} has ${value.length} characters, at most ${maxCharacters}`);
    }
    // Control characters would let a bundle move the cursor of the terminal that explains it.
    for (const character of value) {
      const point = character.codePointAt(0) ?? 0;
      if (point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0xd800 && point < 0xe000)) {
        return this.#refuse(`${path} has a control character`);
      }
    }
    return value;
  }
}

export function checkInteger(value: unknown, path: string, min: number, max: number, refuse: Refuse): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) return refuse(`${path} is not a whole number`);
  if (value < min || value > max) return refuse(`${path} is ${value}, expected ${min}..${max}`);
  return value;
}

/** Not bytes, which JavaScript cannot freeze. */
export function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null && !ArrayBuffer.isView(member)) deepFreeze(member);
  }
  return Object.freeze(value);
}

function plainObject(value: unknown, path: string, refuse: Refuse): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(`${path} is not an object`);
  return value;
}
