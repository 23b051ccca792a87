// Header extensions of a QCOW2 image (QEMU docs/interop/qcow2.txt, "Header extensions").
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { cursorAt } from '../fields.ts';

const TYPE = {
  end: 0,
  backingFormat: 0xe2792aca,
  encryptionHeader: 0x0537be77,
  dataFile: 0x44415441,
} as const;

/** A name of something outside the image, and where it is written. */
export interface WrittenName {
  readonly name: string;
  readonly offset: number;
}

export interface Extensions {
  readonly backingFormat?: string;
  readonly dataFile?: WrittenName;
  readonly encryptionHeader?: { readonly offset: bigint; readonly length: bigint; readonly at: number };
}

/** Those between `start` and `end`. Unknown ones are passed over: what must be known has a feature bit. */
export function readExtensions(source: ByteSource, start: number, end: number): Extensions {
  const cursor = cursorAt(source, start, Math.max(0, Math.min(end, source.size) - start), 'header extensions');
  const found: { -readonly [Key in keyof Extensions]: Extensions[Key] } = {};
  const seen = new Set<number>();
  // Without an end marker they go on to the end of their area.
  while (cursor.remaining >= 8) {
    const type = cursor.u32be('extension type');
    const length = cursor.u32be('extension length');
    if (type === TYPE.end) break;
    const at = cursor.offset;
    const data = cursor.sub(length, 'extension');
    cursor.skip(Math.min(-length & 7, cursor.remaining), 'extension padding');
    if (isKnown(type)) {
      if (seen.has(type))
        throw new ParseError('invalid', 'extension type', at - 8, `0x${type.toString(16)} a second time`);
      seen.add(type);
    }
    if (type === TYPE.backingFormat) found.backingFormat = text(data.rest('backing format'));
    if (type === TYPE.dataFile) found.dataFile = { name: text(data.rest('external data file name')), offset: at };
    if (type === TYPE.encryptionHeader) {
      found.encryptionHeader = {
        offset: data.u64be('encryption header offset'),
        length: data.u64be('encryption header length'),
        at,
      };
      data.end('encryption header extension');
    }
  }
  return found;
}

/** What does not decode as UTF-8 is shown by replacement characters: such a name is told and never followed. */
export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function isKnown(type: number): boolean {
  return Object.values(TYPE).some((known) => known === type);
}
