// Disks in blocks of one size with one table of 32-bit entries that says where each block lies: VDI and VHD.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../source/byte-source.ts';
import type { TablePages } from '../source/table-pages.ts';
import { checkWithin } from './fields.ts';
import type { Locate, Run } from './runs.ts';

export interface BlockTable {
  readonly source: ByteSource;
  readonly pages: TablePages;
  readonly littleEndian: boolean;
  /** Where the table lies, and how many entries it has. */
  readonly tableOffset: number;
  readonly entries: number;
  /** Bytes of the disk in a block. */
  readonly blockBytes: number;
  /** Name of an entry in errors. */
  readonly field: string;
  /** What an entry says: where the block's bytes of the disk begin, or what stands for a block that is not there. */
  readonly placeOf: (entry: number, at: number) => number | 'absent' | 'zero';
}

/** The run from `offset` on: blocks that lie side by side, or blocks that are not there. */
export function locateBlocks(table: BlockTable, offset: number, length: number, absent: Locate): Run {
  const { blockBytes, source, field } = table;
  let index = Math.floor(offset / blockBytes);
  const within = offset - index * blockBytes;
  const at = table.tableOffset + index * 4;
  const place = placeAt(table, index);
  let run = blockBytes - within;
  for (index += 1; run < length && index < table.entries; index += 1) {
    const next = placeAt(table, index);
    if (typeof place === 'number' ? next !== place + within + run : next !== place) break;
    run += blockBytes;
  }
  run = Math.min(run, length);
  if (place === 'zero') return { kind: 'zero', length: run };
  if (place === 'absent') return absent(offset, run);
  checkWithin(source, place + within, run, field, at);
  return { kind: 'data', length: run, source, at: place + within };
}

function placeAt(table: BlockTable, index: number): number | 'absent' | 'zero' {
  const at = table.tableOffset + index * 4;
  if (index >= table.entries) {
    throw new ParseError('invalid', table.field, at, `${index}, expected a block below ${table.entries}`);
  }
  const { view, start } = table.pages.at(at, 4, table.field);
  return table.placeOf(view.getUint32(at - start, table.littleEndian), at);
}
