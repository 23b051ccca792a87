import { expect, test } from 'vitest';
import { cipherFor } from './cipher-of-processor.ts';

test.each([
  ['x86 with AES', 'processor\t: 0\nflags\t\t: fpu sse2 aes avx2\n', 'aes-256-gcm'],
  ['x86 without', 'processor\t: 0\nflags\t\t: fpu sse2 vaes-less avx2\n', 'chacha20-poly1305'],
  ['Arm with AES', 'Features\t: fp asimd evtstrm aes pmull sha1\n', 'aes-256-gcm'],
  ['Arm without', 'model name\t: aes\nFeatures\t: fp asimd evtstrm crc32\n', 'chacha20-poly1305'],
  ['a processor that says nothing', '', 'chacha20-poly1305'],
])('%s', (_, cpuinfo, cipher) => {
  expect(cipherFor(cpuinfo)).toBe(cipher);
});
