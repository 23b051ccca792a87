import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { mergeStripes, splitStripes } from './anti-forensic.ts';

test.each([
  [64, 4000, 'sha256'],
  [33, 7, 'sha1'],
  [32, 1, 'sha512'],
])(
  'a key of %i bytes comes back out of %i stripes, and not where one bit of them is another (%s)',
  (bytes, stripes, hash) => {
    const key = randomBytes(bytes);
    const material = splitStripes(key, stripes, hash);
    expect(material.length).toBe(bytes * stripes);
    expect(mergeStripes(material, bytes, stripes, hash)).toEqual(new Uint8Array(key));
    material[0] = (material[0] ?? 0) ^ 1;
    expect(mergeStripes(material, bytes, stripes, hash)).not.toEqual(new Uint8Array(key));
  },
);
