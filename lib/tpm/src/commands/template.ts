// Commands as bytes with named holes of fixed length, so that a shell can send them without knowing what they hold.

import { concatBytes } from '@ringwall/bytes';
import { TpmError } from '../tpm-error.ts';

/** A hole of exactly `bytes` bytes. The name is a shell variable's: lower-case letters, digits and underscores. */
export interface Slot {
  readonly slot: string;
  readonly bytes: number;
}

/** Bytes and holes in order. The same name may stand in several holes of the same length: one value fills all. */
export type CommandTemplate = readonly (Uint8Array | Slot)[];

/** What a builder takes for a field: bytes as they are, one hole, or both mixed. */
export type TemplatePart = Uint8Array | Slot | CommandTemplate;

/** A handle: a number, or a hole of 4 bytes that a later response fills. */
export type HandlePart = number | Slot;

const SLOT_NAME = /^[a-z][a-z0-9_]*$/;

/** Makes a hole. */
export function slot(name: string, bytes: number): Slot {
  if (!SLOT_NAME.test(name)) {
    throw new TpmError('template', `slot name ${JSON.stringify(name)}, expected lower-case letters, digits and _`);
  }
  if (!Number.isInteger(bytes) || bytes < 1) {
    throw new TpmError('template', `slot ${name} of ${bytes} bytes, expected at least 1`);
  }
  return { slot: name, bytes };
}

/** The command with every hole filled. A value that is missing, unknown or of another length is refused. */
export function fillTemplate(
  template: CommandTemplate,
  values: Readonly<Record<string, Uint8Array>> = {},
): Uint8Array<ArrayBuffer> {
  const known = slotsOf(template);
  for (const name of Object.keys(values)) {
    if (!known.has(name)) throw new TpmError('template', `slot ${name} is unknown, expected ${names(known)}`);
  }
  return concatBytes(
    ...template.map((part) => {
      if (part instanceof Uint8Array) return part;
      const value = values[part.slot];
      if (value === undefined) throw new TpmError('template', `slot ${part.slot} has no value`);
      if (value.length !== part.bytes) {
        throw new TpmError('template', `slot ${part.slot} has ${value.length} bytes, expected ${part.bytes}`);
      }
      return value;
    }),
  );
}

/** The holes of a template by name, in order of first appearance, with their lengths in bytes. */
export function slotsOf(template: CommandTemplate): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const part of template) {
    if (part instanceof Uint8Array) continue;
    const before = found.get(part.slot);
    if (before !== undefined && before !== part.bytes) {
      throw new TpmError('template', `slot ${part.slot} has ${part.bytes} bytes, expected ${before} as before`);
    }
    found.set(part.slot, part.bytes);
  }
  return found;
}

/** How many bytes the command has once it is filled. */
export function templateLength(part: TemplatePart): number {
  if (part instanceof Uint8Array) return part.length;
  if ('slot' in part) return part.bytes;
  return part.reduce((total, piece) => total + templateLength(piece), 0);
}

/** Parts one after the other, with neighbouring bytes joined. */
export function joinParts(...parts: readonly TemplatePart[]): CommandTemplate {
  const joined: (Uint8Array | Slot)[] = [];
  for (const piece of parts.flat()) {
    const last = joined.at(-1);
    if (piece instanceof Uint8Array && last instanceof Uint8Array) joined[joined.length - 1] = concatBytes(last, piece);
    else joined.push(piece);
  }
  return joined;
}

function names(known: ReadonlyMap<string, number>): string {
  return known.size === 0 ? 'none' : [...known.keys()].join(', ');
}
