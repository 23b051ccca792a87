// Whether the log of an XFS file system is clean: its last record then says that it was unmounted (XFS Algorithms & Data
// Structures, "Journaling Log"). It is not replayed here; a dirty one is said.
import type { ByteSource } from '../../source/byte-source.ts';

const SECTOR_BYTES = 512;
const RECORD_MAGIC = 0xfeedbabe;
/** A record has at most 256 KiB, and a header of some sectors. */
const MAX_RECORD_SECTORS = 520;
const OPERATIONS_AT = 40;
const UNMOUNT = 0x20;

export type LogState = 'clean' | 'dirty' | 'unknown';

/** Every sector of the log begins with the number of the round in which it was written, or with a record's header. */
export function logState(log: ByteSource): LogState {
  const sectors = Math.floor(log.size / SECTOR_BYTES);
  if (sectors < 2) return 'unknown';
  const round = roundOf(log, 0);
  let head = sectors;
  if (roundOf(log, sectors - 1) !== round) {
    let low = 0;
    let high = sectors - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (roundOf(log, middle) === round) low = middle + 1;
      else high = middle;
    }
    head = low;
  }
  for (let back = 1; back <= Math.min(MAX_RECORD_SECTORS, sectors); back += 1) {
    const sector = (head - back + sectors) % sectors;
    const view = viewAt(log, sector);
    if (view.getUint32(0) !== RECORD_MAGIC) continue;
    if (view.getUint32(OPERATIONS_AT) !== 1) return 'dirty';
    const operation = viewAt(log, (sector + 1) % sectors);
    return operation.getUint8(9) & UNMOUNT ? 'clean' : 'dirty';
  }
  return 'unknown';
}

function roundOf(log: ByteSource, sector: number): number {
  const view = viewAt(log, sector);
  return view.getUint32(0) === RECORD_MAGIC ? view.getUint32(4) : view.getUint32(0);
}

function viewAt(log: ByteSource, sector: number): DataView {
  const bytes = log.read(sector * SECTOR_BYTES, SECTOR_BYTES);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
