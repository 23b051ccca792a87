import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { nodeCodecs } from '../../node/codecs.ts';
import { fixture } from '../../../testing/fixtures.ts';
import { exercise } from '../../../testing/hostile.ts';
import { DiskError } from '../../disk-error.ts';
import { memorySource } from '../../source/byte-source.ts';
import { openSquashfs } from './squashfs.ts';

const image = fixture('squashfs');
const open = (bytes: Uint8Array): ReturnType<typeof openSquashfs> =>
  openSquashfs(memorySource(bytes), { codecs: nodeCodecs });

function changed(offset: number, ...bytes: readonly number[]): Uint8Array {
  const copy = new Uint8Array(image);
  copy.set(bytes, offset);
  return copy;
}

describe('openSquashfs()', () => {
  test('reads a small image', () => {
    const { root } = open(image);
    expect([...root.entries()].map(({ name, kind }) => `${name} ${kind}`)).toEqual([
      'etc directory',
      'large.txt file',
      'link symlink',
      'many directory',
      'null character-device',
      'zeros file',
    ]);
    const shadow = root.lookup('etc')?.lookup('shadow');
    expect(Buffer.from(shadow?.open().read(0, 8) ?? []).toString()).toBe('root:$y$');
    expect(shadow?.modifiedAt).toBe(1_700_000_000_000);
    expect(root.lookup('null')?.device).toEqual({ major: 1, minor: 3 });
    expect(root.lookup('link')?.target()).toBe('etc/shadow');
  });

  test('asked for what a node has not, says what it is', () => {
    const { root } = open(image);
    expect(() => root.open()).toThrow(DiskError);
    expect(() => root.target()).toThrow(/is a directory, expected a symlink/);
    expect(() => root.lookup('zeros')?.entries()).toThrow(/is a file, expected a directory/);
  });

  test.each([
    ['another magic', 0, [0x73], /s_magic/],
    ['version 3', 28, [3], /s_major 3\.0, expected 4\.0/],
    ['a block size that is no power of two', 12, [1], /block_size 4097/],
    ['blocks of 2 MiB', 12, [0, 0, 0x20, 0], /block_size/],
    ['an unknown compressor', 20, [7], /compression 7/],
    ['no ids', 26, [0, 0], /no_ids 0/],
    ['a size beyond the image', 40, [0xff, 0xff], /bytes_used/],
    ['a table beyond the image', 64, [0xff, 0xff, 0xff, 0xff], /inode_table_start/],
    ['no directory table', 72, [255, 255, 255, 255, 255, 255, 255, 255], /directory_table_start is absent/],
    ['a root in another place', 32, [0xff, 0x1f], /metadata offset|inode_type|metadata/],
  ])('refuses %s', (_, offset, bytes, message) => {
    expect(() => open(changed(offset, ...bytes))).toThrow(ParseError);
    expect(() => open(changed(offset, ...bytes))).toThrow(message);
  });

  test('refuses every truncation', () => {
    for (let length = 0; length < image.length; length += 1) {
      expect(() => open(image.subarray(0, length))).toThrow(ParseError);
    }
  });

  test('an intact image is seen whole by the sweep', () => {
    expect(exercise(image, (source) => openSquashfs(source, { codecs: nodeCodecs }))).toBe(52);
  });
});
