// squashfs images of mksquashfs, with each of its compressors and layouts, against the tree that they were made from.
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingTools, runTool, TemporaryFolder } from '../../../testing/tools.ts';
import {
  addAttributes,
  addUnixNodes,
  attributesAt,
  factsOfFolder,
  factsOfNode,
  makeCrowd,
  makeTree,
} from '../../../testing/trees.ts';
import { DiskError } from '../../disk-error.ts';
import { nodeCodecs } from '../../node/codecs.ts';
import { FileSource } from '../../node/file-source.ts';
import type { Codecs, Decompress } from '../../source/codecs.ts';
import { openSquashfs } from './squashfs.ts';

const MISSING = missingTools('mksquashfs', 'setfattr', 'mknod', 'xz');
const UNIT = 131_072;

/** Node has none for xz and LZMA: the tool. */
const withXz =
  (format: string): Decompress =>
  (block, maxBytes) => {
    const bytes = runTool(['xz', '--decompress', '--stdout', `--format=${format}`], { input: block });
    if (bytes.length > maxBytes) throw new RangeError('unpacks to too much');
    return bytes;
  };
const CODECS: Codecs = { ...nodeCodecs, xz: withXz('xz'), lzma: withXz('lzma') };

describe.skipIf(MISSING !== '')(`openSquashfs() on images of mksquashfs${MISSING}`, () => {
  const folder = new TemporaryFolder();
  const tree = folder.at('tree');

  beforeAll(() => {
    makeTree(tree, UNIT);
    addUnixNodes(tree);
    addAttributes(tree);
  });

  afterAll(() => folder[Symbol.dispose]());

  function image(...options: readonly string[]): FileSource {
    const path = folder.at('image.squashfs');
    runTool(['mksquashfs', tree, path, '-noappend', '-quiet', '-no-progress', ...options]);
    return FileSource.open(path);
  }

  test.each([
    ['gzip', []],
    ['zstd', ['-comp', 'zstd']],
    ['lz4', ['-comp', 'lz4']],
    ['lz4 in its slow mode', ['-comp', 'lz4', '-Xhc', '-b', '1M']],
    ['xz', ['-comp', 'xz', '-b', '1M']],
    ['lzma', ['-comp', 'lzma', '-b', '1M']],
    ['no compression', ['-noI', '-noD', '-noF', '-noX']],
    ['no fragments', ['-no-fragments']],
    ['tails in fragments', ['-tailends']],
    ['the smallest blocks', ['-b', '4096']],
    ['the largest blocks', ['-b', '1M']],
    ['no duplicates found', ['-no-duplicates']],
    ['no table of inodes', ['-no-exports']],
  ])('reads everything, with %s', (_, options) => {
    using source = image(...options);
    const squashfs = openSquashfs(source, { codecs: CODECS });
    expect(factsOfNode(squashfs.root)).toEqual(factsOfFolder(tree));
  });

  test('finds each file of a crowded directory by the index', () => {
    const crowd = folder.at('crowd');
    makeCrowd(crowd, 20_000);
    const path = folder.at('crowd.squashfs');
    runTool(['mksquashfs', crowd, path, '-quiet', '-no-progress']);
    using source = FileSource.open(path);
    const { root } = openSquashfs(source, { codecs: CODECS });
    const names = readdirSync(crowd);
    expect([...root.entries()].map((entry) => entry.name).toSorted()).toEqual(names.toSorted());
    for (const name of names.filter((_, index) => index % 37 === 0)) expect(root.lookup(name)?.kind).toBe('file');
    expect(root.lookup('file-000000001')).toBeUndefined();
    expect(root.lookup('')).toBeUndefined();
    expect(root.lookup('~')).toBeUndefined();
    expect(factsOfNode(root)).toEqual(factsOfFolder(crowd));
  });

  test('reads extended attributes, also those that several files share', () => {
    using source = image();
    const { root } = openSquashfs(source, { codecs: CODECS });
    expect(attributesAt(root, 'text-1')).toEqual({ 'user.note': 'small', 'trusted.kept': 'x'.repeat(3000) });
    for (const file of ['random-1', 'random-2', 'random-3', 'empty']) {
      expect(attributesAt(root, file)).toEqual({ 'user.shared': 'y'.repeat(200) });
    }
    expect(root.lookup('text-2')?.extendedAttributes().get('security.capability')?.length).toBe(20);
    expect(attributesAt(root, 'text-3')).toEqual({});
  });

  test('finds nodes by number, where the image has a table for it', () => {
    using source = image();
    const squashfs = openSquashfs(source, { codecs: CODECS });
    const mixed = squashfs.root.lookup('mixed');
    expect(squashfs.nodeNumbered(mixed?.id ?? 0)?.size).toBe(mixed?.size);
    expect(squashfs.root.lookup('names')?.lookup('hard')?.id).toBe(mixed?.id);
    expect(squashfs.nodeNumbered(0)).toBeUndefined();
    expect(squashfs.nodeNumbered(100_000)).toBeUndefined();
    using without = image('-no-exports');
    expect(openSquashfs(without, { codecs: CODECS }).nodeNumbered(1)).toBeUndefined();
  });

  test('passes over holes', () => {
    using source = image();
    const sparse = openSquashfs(source, { codecs: CODECS }).root.lookup('sparse')?.open();
    expect(sparse?.nextData?.(0)).toEqual({ offset: 4 * UNIT, length: UNIT });
    expect(sparse?.nextData?.(5 * UNIT)).toEqual({ offset: 20 * UNIT, length: UNIT });
  });

  test('any part reads as the whole does', () => {
    using source = image();
    const mixed = openSquashfs(source, { codecs: CODECS }).root.lookup('mixed')?.open();
    const whole = Buffer.from(mixed?.read(0, mixed.size) ?? []);
    for (const [offset, length] of [
      [0, 1],
      [UNIT - 1, 2],
      [5 * UNIT - 3, UNIT + 9],
      [15 * UNIT - 2, 7],
      [whole.length, 0],
    ] as const) {
      expect(Buffer.from(mixed?.read(offset, length) ?? []).equals(whole.subarray(offset, offset + length))).toBe(true);
    }
  });

  test('a compressor that nobody passed is named', () => {
    using source = image('-comp', 'lzo');
    expect(() => openSquashfs(source, { codecs: CODECS })).toThrow(DiskError);
    expect(() => openSquashfs(source, { codecs: CODECS })).toThrow(/compressed with lzo/);
  });
});
