import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { openDigestThread } from './digest-thread.ts';

it('openDigestThread() digests streams side by side, of any length and in pieces of any length', async () => {
  const open = openDigestThread();
  const lengths = [0, 1, 63, 64, 524_287, 524_288, 524_289, 9_000_000];
  const streams = lengths.map((length, at) => {
    const algorithm = at % 2 === 0 ? 'sha256' : 'sha512';
    const bytes = randomBytes(length);
    return { bytes, hash: open(algorithm), expected: createHash(algorithm).update(bytes).digest('hex') };
  });
  for (let at = 0; at < Math.max(...lengths); at += 700_000) {
    for (const { bytes, hash } of streams) {
      const piece = Buffer.from(bytes.subarray(at, at + 700_000));
      hash.update(piece);
      // Whoever unpacks writes over it at once.
      piece.fill(0);
    }
  }
  const found = await Promise.all(streams.map(({ hash }) => hash.digest()));
  expect(found).toEqual(streams.map(({ expected }) => expected));
});
