// Reads a number of bytes from a stream that somebody else fills: whole, or an error within a time.
import { once } from 'node:events';
import type { Readable } from 'node:stream';

/** It ended, or fell silent, before they were there. */
export class StreamEndedError extends Error {
  override readonly name = 'StreamEndedError';
}

export async function readExactly(stream: Readable, length: number, timeoutMs: number): Promise<Buffer> {
  const silence = AbortSignal.timeout(timeoutMs);
  const pieces: Buffer[] = [];
  for (let missing = length; missing > 0;) {
    const piece: unknown = stream.read(Math.min(missing, Math.max(stream.readableLength, 1)));
    if (Buffer.isBuffer(piece)) {
      pieces.push(piece);
      missing -= piece.length;
      continue;
    }
    if (stream.destroyed || stream.readableEnded) throw new StreamEndedError('it closed the connection');
    await waitForMore(stream, silence);
  }
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
}

async function waitForMore(stream: Readable, silence: AbortSignal): Promise<void> {
  const settled = new AbortController();
  const options = { signal: AbortSignal.any([silence, settled.signal]) };
  try {
    await Promise.race(['readable', 'end', 'close'].map((event) => once(stream, event, options)));
  } catch (cause) {
    throw new StreamEndedError(silence.aborted ? 'it said nothing' : 'its connection broke', { cause });
  } finally {
    settled.abort();
  }
}
