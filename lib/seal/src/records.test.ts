import { Writer } from '@ringwall/bytes';
import { expect, test } from 'vitest';
import { DEFAULT_CHUNK_BYTES, type Manifest } from './manifest.ts';
import { mapBytesOf, PAGE_BYTES } from './pages.ts';
import { END_BYTES, parseHeader, RECORD_TYPES, renderHeader, TAG_BYTES, type RecordType } from './records.ts';

const PARENT = { object: '00'.repeat(16), root: '00'.repeat(32) };
const MANIFEST: Manifest = {
  ...{ object: '00'.repeat(16), counter: 0, cipher: 'aes-256-gcm', digest: 'blake3', compression: 'zstd' },
  ...{ chunkBytes: DEFAULT_CHUNK_BYTES, bytes: 10 * DEFAULT_CHUNK_BYTES, parent: PARENT, parts: [], about: {} },
};
const MAP_BYTES: number = mapBytesOf(DEFAULT_CHUNK_BYTES);

/** Of the plaintext. */
type Shape = readonly [type: RecordType, chunks: number, bytes: number];

test.each<Shape>([
  ['data', 1, 1],
  ['data', 1, DEFAULT_CHUNK_BYTES],
  ['zeros', 1, 0],
  ['zeros', 10, 0],
  ['compressed', 1, DEFAULT_CHUNK_BYTES - 1],
  ['kept', 10, 0],
  ['pages', 1, MAP_BYTES],
  ['pages', 1, MAP_BYTES + DEFAULT_CHUNK_BYTES - PAGE_BYTES],
  ['end', 0, END_BYTES],
])('parseHeader() takes %s of %d chunks and %d bytes', (type, chunks, bytes) => {
  const header = { type, chunks, bytes: bytes + TAG_BYTES };
  expect(parseHeader(renderHeader(header), MANIFEST, { offset: 0, index: 0 })).toEqual(header);
});

test.each<Shape>([
  ['data', 1, 0],
  ['data', 1, DEFAULT_CHUNK_BYTES + 1],
  ['data', 1, 2 ** 32 - 1 - TAG_BYTES],
  ['data', 0, 1],
  ['data', 2, 1],
  ['zeros', 0, 0],
  ['zeros', 1, 1],
  ['zeros', 11, 0],
  ['compressed', 1, 0],
  ['compressed', 1, DEFAULT_CHUNK_BYTES],
  ['compressed', 2, 1],
  ['kept', 0, 0],
  ['kept', 1, 1],
  ['pages', 1, MAP_BYTES - 1],
  ['pages', 1, MAP_BYTES + 1],
  ['pages', 1, MAP_BYTES + DEFAULT_CHUNK_BYTES],
  ['pages', 2, MAP_BYTES],
  ['end', 1, END_BYTES],
  ['end', 0, END_BYTES - 1],
  ['end', 0, END_BYTES + 1],
])('parseHeader() refuses %s of %d chunks and %d bytes', (type, chunks, bytes) => {
  const header = renderHeader({ type, chunks, bytes: bytes + TAG_BYTES });
  const parsed = (): unknown => parseHeader(header, MANIFEST, { offset: 7, index: 0 });
  expect(parsed).toThrow(expect.objectContaining({ code: 'altered', offset: 7 }));
});

test('parseHeader() refuses a tag that is cut, and types that are none', () => {
  const where = { offset: 0, index: 0 };
  expect(() => parseHeader(renderHeader({ type: 'zeros', chunks: 1, bytes: 15 }), MANIFEST, where)).toThrow('is none');
  const known = new Set<number>(Object.values(RECORD_TYPES));
  for (let type = 0; type < 300; type += 1) {
    if (known.has(type)) continue;
    const header = new Writer().u32be(type).u32be(1).u32be(TAG_BYTES).finish();
    expect(() => parseHeader(header, MANIFEST, where)).toThrow('is none');
  }
});

test('parseHeader() refuses what is behind the end of the contents', () => {
  const header = renderHeader({ type: 'zeros', chunks: 3, bytes: TAG_BYTES });
  expect(parseHeader(header, MANIFEST, { offset: 0, index: 7 })).toMatchObject({ chunks: 3 });
  expect(() => parseHeader(header, MANIFEST, { offset: 0, index: 8 })).toThrow('more than the manifest says');
});
