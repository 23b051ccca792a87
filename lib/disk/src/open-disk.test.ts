import { describe, expect, test } from 'vitest';
import { openDisk, type VolumeContents } from './open-disk.ts';
import { memorySource } from './source/byte-source.ts';

function contentsOf(bytes: Uint8Array): VolumeContents | undefined {
  return openDisk(memorySource(bytes)).volumes[0]?.contents;
}

describe('openDisk()', () => {
  test('says that a disk was never written', () => {
    expect(contentsOf(new Uint8Array(4096))).toEqual({ kind: 'zeros' });
    expect(contentsOf(new Uint8Array(0))).toEqual({ kind: 'zeros' });
  });

  test('says that it does not know what it holds', () => {
    expect(contentsOf(new Uint8Array(4096).fill(7))).toEqual({ kind: 'unknown' });
  });

  test.each([
    ['squashfs', 0, [0x68, 0x73, 0x71, 0x73]],
    ['ext', 1080, [0x53, 0xef]],
    ['erofs', 1024, [0xe2, 0xe1, 0xf5, 0xe0]],
  ])('names %s where only its magic bytes are right', (format, offset, magic) => {
    const bytes = new Uint8Array(4096);
    bytes.set(magic, offset);
    expect(contentsOf(bytes)).toEqual({ kind: 'damaged', format, message: expect.any(String) });
  });
});
