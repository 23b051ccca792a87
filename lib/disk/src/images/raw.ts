// A raw image: the disk itself, byte for byte.
import type { ByteSource } from '../source/byte-source.ts';
import type { ParsedImage } from './disk-image.ts';
import { diskOf } from './disk-of.ts';
import { runBelow } from './runs.ts';

export function parseRaw(source: ByteSource): ParsedImage {
  const header = {
    format: 'raw',
    virtualSize: source.size,
    facts: {},
    references: [],
    snapshots: [],
    encryption: undefined,
  } as const;
  return { ...header, open: () => diskOf(header, (offset, length) => runBelow(source, offset, length)) };
}
