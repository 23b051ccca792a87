// The names that a user vouches for, out of files: one a line; `#` begins a comment.
import { compileLookalikes, type Lookalikes } from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { reading, readText } from './given.ts';

export function compileNames({ values }: Invocation): Lookalikes {
  const list = (option: string): string[] => {
    const file = values.get(option);
    if (file === undefined) return [];
    const lines = readText(file)
      .split('\n')
      .map((line) => line.replace(/#.*$/, '').trim());
    return lines.filter((line) => line !== '');
  };
  return reading('the lists of names', () => compileLookalikes({ allowed: list('allow'), history: list('history') }));
}
