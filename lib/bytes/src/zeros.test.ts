import { expect, test } from 'vitest';
import { firstNonZero } from './zeros.ts';

test('firstNonZero() finds each byte, wherever the bytes lie in memory', () => {
  for (const shift of [0, 1, 2, 3]) {
    for (const length of [0, 1, 2, 3, 4, 5, 9, 64]) {
      const bytes = new Uint8Array(length + shift + 8).subarray(shift, shift + length);
      expect(firstNonZero(bytes)).toBeUndefined();
      for (let at = 0; at < length; at += 1) {
        const changed = new Uint8Array(length + shift + 8).fill(9).subarray(shift, shift + length);
        changed.fill(0);
        changed[at] = 0x80;
        expect(firstNonZero(changed)).toBe(at);
      }
    }
  }
});
