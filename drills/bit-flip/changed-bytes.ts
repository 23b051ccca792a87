// Where a disk image changes while something is written: what somebody sees who can only look at the storage.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** dm-integrity's superblock lies behind the LUKS2 header; drivers/md/dm-integrity.c, struct superblock. */
const SUPERBLOCK_AT = 1024 * 1024;
const SUPERBLOCK_BYTES = 4096;
const JOURNAL_SECTIONS_AT = 12;
/** With tags of 32 bytes and sectors of 4 KiB: 32 of them in a section, and 8 sectors of 512 bytes that describe them. */
const JOURNAL_SECTION_BYTES = (32 * 8 + 8) * 512;
/** Of one file, as a file system lays it out; what is shorter is tags or metadata. */
const RUN_PIECES = 16;

/** A place in the middle of each piece that changed and lies in a long run of such, behind the journal. */
export async function changedBytes(
  path: string,
  pieceBytes: number,
  write: () => Promise<unknown>,
): Promise<readonly number[]> {
  const before = readPieces(path, pieceBytes);
  await write();
  const after = readPieces(path, pieceBytes);
  const dataAt =
    SUPERBLOCK_AT + SUPERBLOCK_BYTES + readUint32(path, SUPERBLOCK_AT + JOURNAL_SECTIONS_AT) * JOURNAL_SECTION_BYTES;
  const changed = [...after]
    .filter(([at, bytes]) => at >= dataAt && before.get(at)?.equals(bytes) !== true)
    .map(([at]) => at)
    .toSorted((a, b) => a - b);
  return longRuns(changed, pieceBytes).map((at) => at + pieceBytes / 2);
}

/** Those that are not all zeros, by their place. */
function readPieces(path: string, pieceBytes: number): Map<number, Buffer> {
  const pieces = new Map<number, Buffer>();
  const zeros = Buffer.alloc(pieceBytes);
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(pieceBytes);
    for (let at = 0; at < size; at += pieceBytes) {
      const length = readSync(file, buffer, 0, pieceBytes, at);
      if (buffer.compare(zeros, 0, length, 0, length) !== 0) pieces.set(at, Buffer.from(buffer.subarray(0, length)));
    }
    return pieces;
  } finally {
    closeSync(file);
  }
}

function longRuns(places: readonly number[], pieceBytes: number): number[] {
  const runs: number[][] = [];
  for (const at of places) {
    const last = runs.at(-1);
    if (last?.at(-1) === at - pieceBytes) last.push(at);
    else runs.push([at]);
  }
  return runs.filter((found) => found.length >= RUN_PIECES).flat();
}

function readUint32(path: string, at: number): number {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(4);
    readSync(file, bytes, 0, 4, at);
    return bytes.readUInt32LE();
  } finally {
    closeSync(file);
  }
}
