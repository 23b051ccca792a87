// Files of securityfs say 0 for their length and grow while they are read: they are read to their end, and no further than
// a limit.
import { open } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';

const CHUNK_BYTES = 64 * 1024;

/** All of a file; throws `too-large` with the limit, and `host-lacks` where it cannot be read. */
export async function readBounded(path: string, limitBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    await using file = await open(path, 'r');
    for (;;) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, null);
      if (bytesRead === 0) return new Uint8Array(Buffer.concat(chunks));
      bytes += bytesRead;
      if (bytes > limitBytes) break;
      chunks.push(buffer.subarray(0, bytesRead));
    }
  } catch (cause) {
    throw new RingwallError('host-lacks', `${path} cannot be read`, {
      cause,
      hint: 'ringwall doctor says what it is for',
    });
  }
  throw new RingwallError('too-large', `${path} has more than ${String(limitBytes)} bytes`, {
    hint: 'measure less (docs/protocols/host-evidence.md has a policy for it), or boot the host anew',
  });
}
