// What one thread does of a copy of memory: takes region after region, until none is left.
import { PAGE_BYTES } from '@ringwall/seal';
import { readAt } from '../seal/whole-io.ts';
import { COMPARED_BYTES, FULL, NEXT, PIECE, REGION_BYTES, USED, type CopyJob, type CopyOrder } from './copy-job.ts';
import { digestOf, DigestTable, isZero } from './page-digests.ts';
import { viewsOf } from './shared-memory.ts';

const PAGES_PER_PIECE: number = COMPARED_BYTES / PAGE_BYTES;
/** What a thread looks at, where it is not copied. */
const seen: Buffer = Buffer.alloc(COMPARED_BYTES);
/** Of what the copy has nothing of: zeros, however long. */
const NOTHING: Uint8Array = new Uint8Array();

type Copying = Extract<CopyOrder, { kind: 'copy' }>;
type Digesting = Extract<CopyOrder, { kind: 'digest' }>;

/** Throws what node:fs throws, and where the memory has become shorter. */
export function copyLane(order: CopyOrder): void {
  if (order.kind === 'digest') digestRegions(order);
  else if (order.before === undefined) copyRegions(order);
  else copyChanged(order, new DigestTable(order.before.pieces));
}

/** All that is not zero. A region that is used is read again as a whole: to look first what of it has changed would take longer. */
function copyRegions(order: Copying): void {
  const [holds, used] = [new Uint8Array(order.holds), new Uint8Array(order.used)];
  for (const { region, pieces } of regionsOf(order)) {
    if (used[region] === 0 && pieces.every((piece) => isZero(look(order, piece)))) continue;
    if (!use(order, region)) return;
    for (const { index, at, length } of pieces) {
      for (const { view, done } of viewsOf(order.memory, at, length)) readWhole(order.descriptor, view, at + done);
      holds[index] = PIECE.copied;
    }
  }
}

/** All that is neither zero nor as it was before. What was copied once is read again, and looked at when there is time for that. */
function copyChanged(order: Copying, before: DigestTable): void {
  const holds = new Uint8Array(order.holds);
  for (const { region, pieces } of regionsOf(order)) {
    for (const piece of pieces) {
      const { index, at, length } = piece;
      if (holds[index] === PIECE.copied) {
        for (const { view, done } of viewsOf(order.memory, at, length)) readWhole(order.descriptor, view, at + done);
        continue;
      }
      const bytes = look(order, piece);
      const digest = digestOf(bytes);
      if (digest === undefined) holds[index] = PIECE.zero;
      else if (digest === before.get(index)) holds[index] = PIECE.asBefore;
      else {
        if (!use(order, region)) return;
        for (const { view, done } of viewsOf(order.memory, at, length))
          view.set(bytes.subarray(done, done + view.length));
        holds[index] = PIECE.copied;
      }
    }
  }
}

/** Of pieces, to find changes fast; and of the pages of those that have changed. */
function digestRegions(order: Digesting): void {
  const { digests, before } = order;
  const [holds, isKept] = [new Uint8Array(order.holds), new Uint8Array(order.kept)];
  const [pieceDigests, pageDigests] = [new DigestTable(digests.pieces), new DigestTable(digests.pages)];
  const piecesBefore = before && new DigestTable(before.pieces);
  const pagesBefore = before && new DigestTable(before.pages);
  for (const { pieces } of regionsOf(order)) {
    for (const { index, at, length } of pieces) {
      const [firstPage, pages] = [index * PAGES_PER_PIECE, Math.ceil(length / PAGE_BYTES)];
      const [bytes = NOTHING] =
        holds[index] === PIECE.copied ? viewsOf(order.memory, at, length).map(({ view }) => view) : [];
      const digest = holds[index] === PIECE.asBefore ? piecesBefore?.get(index) : digestOf(bytes);
      pieceDigests.set(index, digest);
      if (digest === piecesBefore?.get(index)) {
        // Most are as they were, and so are their pages.
        if (pagesBefore !== undefined) pageDigests.take(pagesBefore, firstPage, pages);
        for (let page = firstPage; page < firstPage + pages; page += 1) keep(isKept, page);
        continue;
      }
      for (let page = 0; page < pages; page += 1) {
        const is = digestOf(bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
        pageDigests.set(firstPage + page, is);
        if (is === pagesBefore?.get(firstPage + page)) keep(isKept, firstPage + page);
      }
    }
  }
}

interface Piece {
  readonly index: number;
  readonly at: number;
  readonly length: number;
}

function* regionsOf({
  bytes,
  control,
}: CopyJob): Generator<{ readonly region: number; readonly pieces: readonly Piece[] }, void> {
  const shared = new Int32Array(control);
  while (Atomics.load(shared, FULL) === 0) {
    const region = Atomics.add(shared, NEXT, 1);
    const from = region * REGION_BYTES;
    const end = Math.min(bytes, from + REGION_BYTES);
    if (from >= end) return;
    const count = Math.ceil((end - from) / COMPARED_BYTES);
    const pieces = Array.from({ length: count }, (_, number): Piece => {
      const at = from + number * COMPARED_BYTES;
      return { index: at / COMPARED_BYTES, at, length: Math.min(COMPARED_BYTES, end - at) };
    });
    yield { region, pieces };
  }
}

/** False where the copy would use more memory than it may: nobody goes on then. */
function use({ used, control, maxRegions }: Copying, region: number): boolean {
  const isUsed = new Uint8Array(used);
  if (isUsed[region] === 1) return true;
  const shared = new Int32Array(control);
  if (Atomics.add(shared, USED, 1) >= maxRegions) {
    Atomics.store(shared, FULL, 1);
    return false;
  }
  isUsed[region] = 1;
  return true;
}

function look({ descriptor }: CopyJob, { at, length }: Piece): Buffer {
  const bytes = seen.subarray(0, length);
  readWhole(descriptor, bytes, at);
  return bytes;
}

function readWhole(descriptor: number, target: Uint8Array, at: number): void {
  const count = readAt(descriptor, target, at);
  if (count < target.length) throw new Error(`it ends at byte ${at + count}`);
}

/** Those of each piece are whole bytes, which no other thread writes. */
function keep(bits: Uint8Array, page: number): void {
  bits[page >> 3] = (bits[page >> 3] ?? 0) | (1 << (page & 7));
}
