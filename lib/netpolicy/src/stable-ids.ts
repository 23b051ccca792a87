// Numbers for what the compiled rules tell apart, taken from what it is and not from where it stands: a rule more in the middle of
// a policy leaves the numbers of all others, so that an update touches only what has changed.

/** What a number stands for. In its top four bits, so that a number of one kind is never found in a map of another. */
export const ID_KINDS = { group: 1, pair: 2, service: 3, decision: 4, share: 5, logged: 6 } as const;
export type IdKind = keyof typeof ID_KINDS;

const KIND_SHIFT = 28;
const NUMBERS: number = 2 ** KIND_SHIFT;
/** FNV-1a, 32 bits: not for secrecy, only to spread. */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

export class StableIds {
  readonly #kind: number;
  readonly #idOf = new Map<string, number>();
  readonly #taken = new Set<number>();

  constructor(kind: IdKind) {
    this.#kind = ID_KINDS[kind];
  }

  /** The number of what this text says in full; the next free one where another text has it already. */
  of(text: string): number {
    const known = this.#idOf.get(text);
    if (known !== undefined) return known;
    let number = spread(text);
    while (this.#taken.has(number)) number = (number + 1) % NUMBERS;
    this.#taken.add(number);
    const id = this.#kind * NUMBERS + number;
    this.#idOf.set(text, id);
    return id;
  }
}

function spread(text: string): number {
  let hash = FNV_OFFSET;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), FNV_PRIME);
  return (hash ^ (hash >>> KIND_SHIFT)) & (NUMBERS - 1);
}
