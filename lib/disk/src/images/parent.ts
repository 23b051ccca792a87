// The image below a differencing one: it may be known by several names, and it must be the one that was meant.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../disk-error.ts';
import type { DiskImage, ExternalReference, ImageChain, ImageFormat } from './disk-image.ts';

/** What shows that a file is the parent that was meant: one of its own facts. */
export interface ParentIdentity {
  readonly fact: string;
  readonly expected: string;
  /** Where the child says it. */
  readonly field: string;
  readonly offset: number;
}

/** Opens the first of `references`, which all name the same parent, that the caller gives. */
export function openParent(
  chain: ImageChain,
  references: readonly ExternalReference[],
  format: ImageFormat,
  { fact, expected, field, offset }: ParentIdentity,
): DiskImage {
  const parent = openFirst(chain, references, format, { field, offset });
  const found = parent.facts[fact];
  if (found !== expected) {
    throw new ParseError('invalid', field, offset, `says ${expected}, but the parent that was given has ${found}`);
  }
  return parent;
}

function openFirst(
  chain: ImageChain,
  [reference, ...others]: readonly ExternalReference[],
  format: ImageFormat,
  where: { readonly field: string; readonly offset: number },
): DiskImage {
  if (reference === undefined)
    throw new ParseError('invalid', where.field, where.offset, 'has no name of a parent beside');
  try {
    return chain.openImage(reference, format);
  } catch (error) {
    if (others.length === 0 || !(error instanceof DiskError && error.code === 'reference')) throw error;
    return openFirst(chain, others, format, where);
  }
}
