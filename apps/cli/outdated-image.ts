// What people are told about an image that an older Ringwall has built: its guest runs the scripts of then.
import type { Image } from '@ringwall/api';
import { plainText, type Terminal } from './terminal.ts';

/** No line where the image is of the Ringwall that runs. */
export function renderOutdated(image: Image | undefined, terminal: Terminal, self: string): string[] {
  if (image?.outdated !== true) return [];
  const name = plainText(image.name);
  return [
    `${terminal.bang} ${name} was built by another version of Ringwall, and boots with the scripts of then.`,
    `  Make it anew: ${self} images build ${name} --rebuild   Then review and take it: ${self} reference build ${name}`,
  ];
}
