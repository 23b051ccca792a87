// A value of a JSON document together with its path, so that whatever is wrong with it is said with its name.
import { ParseError } from '@ringwall/bytes';

export class JsonField {
  readonly path: string;
  /** Where the document begins. */
  readonly offset: number;
  readonly #value: unknown;

  constructor(value: unknown, path: string, offset: number) {
    this.#value = value;
    this.path = path;
    this.offset = offset;
  }

  refuse(detail: string): ParseError {
    return new ParseError('invalid', this.path, this.offset, detail);
  }

  /** A member that must be there. */
  field(name: string): JsonField {
    return this.optional(name) ?? new JsonField(undefined, this.#pathOf(name), this.offset);
  }

  optional(name: string): JsonField | undefined {
    const record = this.#record();
    if (!Object.hasOwn(record, name)) return undefined;
    return new JsonField(record[name], this.#pathOf(name), this.offset);
  }

  entries(): (readonly [name: string, value: JsonField])[] {
    return Object.entries(this.#record()).map(([name, value]) => [
      name,
      new JsonField(value, this.#pathOf(name), this.offset),
    ]);
  }

  list(): JsonField[] {
    if (!Array.isArray(this.#value)) throw this.refuse('is no list');
    return this.#value.map((value: unknown, index) => new JsonField(value, this.#pathOf(String(index)), this.offset));
  }

  text(): string {
    if (typeof this.#value !== 'string') throw this.refuse('is no text');
    return this.#value;
  }

  oneOf<Name extends string>(...names: readonly Name[]): Name {
    const text = this.text();
    const found = names.find((name) => name === text);
    if (found === undefined) throw this.refuse(`${JSON.stringify(text)}, expected ${names.join(' or ')}`);
    return found;
  }

  integer(low: number, high: number): number {
    const value = this.#value;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < low || value > high) {
      throw this.refuse(`${JSON.stringify(value)}, expected a whole number from ${low} to ${high}`);
    }
    return value;
  }

  /** A whole number written as text, as LUKS2 does where JSON's numbers might not hold it. */
  decimal(): number {
    const text = this.text();
    const value = Number(text);
    if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) {
      throw this.refuse(`${JSON.stringify(text.slice(0, 40))}, expected a number of bytes below 2^53`);
    }
    return value;
  }

  base64(low: number, high: number): Uint8Array {
    const text = this.text();
    if (text.length > high * 2 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
      throw this.refuse('is no base64 of the length expected');
    }
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    if (bytes.length < low || bytes.length > high)
      throw this.refuse(`has ${bytes.length} bytes, expected ${low} to ${high}`);
    return bytes;
  }

  #record(): Readonly<Record<string, unknown>> {
    if (!isRecord(this.#value)) throw this.refuse('is no object');
    return this.#value;
  }

  #pathOf(name: string): string {
    return `${this.path}.${name}`.slice(-120);
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
