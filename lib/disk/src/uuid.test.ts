import { fromHex } from '@ringwall/bytes';
import { expect, test } from 'vitest';
import { guidText, uuidText } from './uuid.ts';

const BYTES = fromHex('00112233445566778899aabbccddeeff');

test('uuidText() writes the bytes as they are', () => {
  expect(uuidText(BYTES)).toBe('00112233-4455-6677-8899-aabbccddeeff');
});

test('guidText() turns the first three parts round, and leaves its bytes alone', () => {
  const bytes = new Uint8Array(BYTES);
  expect(guidText(bytes)).toBe('33221100-5544-7766-8899-aabbccddeeff');
  expect(bytes).toEqual(BYTES);
});
