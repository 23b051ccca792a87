// The table of internal snapshots of a QCOW2 image (QEMU docs/interop/qcow2.txt, "Snapshots").
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { cursorAt, safeNumber } from '../fields.ts';
import type { ImageSnapshot } from '../disk-image.ts';
import { text } from './extensions.ts';
import type { Qcow2Header } from './header.ts';

const FIXED_BYTES = 40;
/** What QEMU keeps for extra data and names is far below; 65,536 snapshots with names as usual take some 6 MiB. */
const MAX_TABLE_BYTES = 16 * 2 ** 20;

export interface Qcow2Snapshot extends ImageSnapshot {
  /** Where the snapshot's entry lies. */
  readonly offset: number;
  readonly l1_table_offset: bigint;
  readonly l1_size: number;
}

export function readSnapshots(source: ByteSource, header: Qcow2Header): Qcow2Snapshot[] {
  const snapshots: Qcow2Snapshot[] = [];
  let at = header.snapshotsOffset;
  for (let index = 0; index < header.snapshotCount; index += 1) {
    const snapshot = readSnapshot(source, at, header.virtualSize);
    snapshots.push(snapshot);
    at = snapshot.end;
    if (at - header.snapshotsOffset > MAX_TABLE_BYTES) {
      const found = `make a table of more than ${MAX_TABLE_BYTES} bytes`;
      throw new ParseError('limit', 'snapshots', header.snapshotsOffset, found);
    }
  }
  return snapshots;
}

function readSnapshot(source: ByteSource, start: number, imageSize: number): Qcow2Snapshot & { readonly end: number } {
  const fixed = cursorAt(source, start, FIXED_BYTES, 'snapshot');
  const l1_table_offset = fixed.u64be('snapshot l1_table_offset');
  const l1_size = fixed.u32be('snapshot l1_size');
  const idBytes = fixed.u16be('snapshot id_str_size');
  const nameBytes = fixed.u16be('snapshot name_size');
  const createdAt = fixed.u32be('snapshot date_sec') * 1000 + Math.trunc(fixed.u32be('snapshot date_nsec') / 1e6);
  fixed.skip(8, 'snapshot vm_clock_nsec');
  const vmStateSize = fixed.u32be('snapshot vm_state_size');
  const extraBytes = fixed.u32be('snapshot extra_data_size');
  if (extraBytes > MAX_TABLE_BYTES) {
    throw new ParseError(
      'limit',
      'snapshot extra_data_size',
      start + 36,
      `${extraBytes}, expected at most ${MAX_TABLE_BYTES}`,
    );
  }
  const at = start + FIXED_BYTES;
  const rest = cursorAt(source, at, extraBytes + idBytes + nameBytes, 'snapshot');
  const extra = rest.sub(extraBytes, 'snapshot extra data');
  const vmStateBytes =
    extraBytes >= 8
      ? safeNumber(extra.u64be('snapshot vm_state_size_large'), 'snapshot vm_state_size_large', at)
      : vmStateSize;
  const virtualSize =
    extraBytes >= 16 ? safeNumber(extra.u64be('snapshot disk_size'), 'snapshot disk_size', at + 8) : imageSize;
  const id = text(rest.take(idBytes, 'snapshot id'));
  const name = text(rest.take(nameBytes, 'snapshot name'));
  // Entries begin at multiples of 8.
  const end = start + Math.ceil((rest.offset - start) / 8) * 8;
  return { id, name, createdAt, virtualSize, vmStateBytes, offset: start, l1_table_offset, l1_size, end };
}
