// What the command line says where it could not do what was asked: never a stack, never a result beside it.
import type { CommandResult } from '@ringwall/testkit';
import { expect } from 'vitest';

export interface Trouble {
  readonly code: number;
  /** The line behind `error: `, and its details. */
  readonly what: string;
  /** The lines below: what to do. */
  readonly hint: string;
}

export function troubleOf({ code, stdout, stderr }: CommandResult): Trouble {
  if (stdout !== '') throw new Error(`a result beside an error:\n${stdout}`);
  if (/^ +at /m.test(stderr)) throw new Error(`a stack:\n${stderr}`);
  const match = /^error: (.+)\n((?: {2}.*\n?)*)$/m.exec(stderr);
  if (match === null) throw new Error(`exit code ${String(code)}, and no error in:\n${stderr}`);
  return { code, what: match[1] ?? '', hint: match[2] ?? '' };
}

/** What an error should be, for `toEqual`. */
export function trouble(code: number, what: RegExp, hint: RegExp): Trouble {
  return { code, what: expect.stringMatching(what), hint: expect.stringMatching(hint) };
}
