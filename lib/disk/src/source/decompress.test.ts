import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { DiskError } from '../disk-error.ts';
import { codecNamed, decompressBlock } from './decompress.ts';

const block = Uint8Array.of(1, 2, 3);

describe('decompressBlock()', () => {
  test('turns whatever the decompressor throws into an error that says where', () => {
    const failing = (): never => {
      throw new TypeError('bad header');
    };
    const run = (): unknown => decompressBlock(failing, block, 10, 'data block', 96);
    expect(run).toThrow(ParseError);
    expect(run).toThrow(/data block does not unpack \(bad header\)/);
  });

  test('refuses a decompressor that gives more than it may', () => {
    expect(() => decompressBlock(() => new Uint8Array(11), block, 10, 'data block', 96)).toThrow(
      /unpacks to 11 bytes, expected at most 10/,
    );
  });
});

describe('codecNamed()', () => {
  test('a missing decompressor is noticed only where a block needs it', () => {
    const zstd = codecNamed({}, 'zstd');
    expect(() => decompressBlock(zstd, block, 10, 'data block', 96)).toThrow(DiskError);
    expect(() => decompressBlock(zstd, block, 10, 'data block', 96)).toThrow(/compressed with zstd/);
  });

  test('LZ4 needs none', () => {
    expect([...decompressBlock(codecNamed({}, 'lz4'), Uint8Array.of(0x10, 97), 10, 'data block', 96)]).toEqual([97]);
  });
});
