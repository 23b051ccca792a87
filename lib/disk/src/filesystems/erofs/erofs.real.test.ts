// erofs images of mkfs.erofs, in each of its layouts, against the tree that they were made from.
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
import { FileSource } from '../../node/file-source.ts';
import { openErofs } from './erofs.ts';

const MISSING = missingTools('mkfs.erofs', 'setfattr', 'mknod');
const UNIT = 4096;

describe.skipIf(MISSING !== '')(`openErofs() on images of mkfs.erofs${MISSING}`, () => {
  const folder = new TemporaryFolder();
  const tree = folder.at('tree');

  beforeAll(() => {
    makeTree(tree, UNIT);
    makeTree(folder.at('tree', 'larger'), 131_072);
    addUnixNodes(tree);
    addAttributes(tree);
  });

  afterAll(() => folder[Symbol.dispose]());

  function image(...options: readonly string[]): FileSource {
    const path = folder.at('image.erofs');
    runTool(['mkfs.erofs', ...options, path, tree]);
    return FileSource.open(path);
  }

  test.each([
    ['no compression', ['-E', 'force-inode-extended']],
    ['LZ4', ['-z', 'lz4', '-E', 'force-inode-extended']],
    ['LZ4 in its slow mode', ['-z', 'lz4hc', '-E', 'force-inode-extended']],
    ['full indexes', ['-z', 'lz4', '-E', 'legacy-compress,force-inode-extended']],
    ['large clusters', ['-z', 'lz4hc', '-C', '65536', '-E', 'force-inode-extended']],
    ['large clusters and full indexes', ['-z', 'lz4hc', '-C', '65536', '-E', 'legacy-compress,force-inode-extended']],
    ['packed tails', ['-z', 'lz4hc', '-E', 'ztailpacking,force-inode-extended']],
    ['packed tails and large clusters', ['-z', 'lz4hc', '-C', '32768', '-E', 'ztailpacking,force-inode-extended']],
    ['packed tails and full indexes', ['-z', 'lz4', '-E', 'ztailpacking,legacy-compress,force-inode-extended']],
    ['short extents', ['-z', 'lz4', '--max-extent-bytes=16384', '-E', 'force-inode-extended']],
    ['chunks', ['--chunksize=4096', '-E', 'force-inode-extended']],
    ['large chunks', ['--chunksize=65536', '-E', 'force-inode-extended']],
    ['chunks with full indexes', ['--chunksize=8192', '-E', 'force-chunk-indexes,force-inode-extended']],
    ['all attributes inside inodes', ['-x', '1000', '-E', 'force-inode-extended']],
    ['all attributes shared', ['-x', '1', '-E', 'force-inode-extended']],
  ])('reads everything, with %s', (_, options) => {
    using source = image(...options);
    expect(factsOfNode(openErofs(source).root)).toEqual(factsOfFolder(tree));
  });

  test('inodes without a time of their own have that of the image', () => {
    using source = image('-T', '1600000000', '-E', 'force-inode-compact', '--all-root');
    const { root } = openErofs(source);
    const link = root.lookup('link');
    expect([link?.modifiedAt, link?.uid, link?.links, link?.target()]).toEqual([1_600_000_000_000, 0, 1, 'text-1']);
  });

  test('says what the image is called', () => {
    using source = image('-U', '12345678-9abc-def0-1234-56789abcdef0');
    const { uuid, label, kind } = openErofs(source);
    expect([kind, label, uuid]).toEqual(['erofs', '', '12345678-9abc-def0-1234-56789abcdef0']);
  });

  test.each([
    ['inside inodes', ['-x', '1000']],
    ['shared', ['-x', '1']],
  ])('reads extended attributes, %s', (_, options) => {
    using source = image(...options);
    const { root } = openErofs(source);
    expect(attributesAt(root, 'text-1')).toEqual({ 'user.note': 'small', 'trusted.kept': 'x'.repeat(3000) });
    for (const file of ['random-1', 'random-2', 'random-3', 'empty']) {
      expect(attributesAt(root, file)).toEqual({ 'user.shared': 'y'.repeat(200) });
    }
    expect(attributesAt(root, 'text-2')['security.capability']?.length).toBe(20);
    expect(attributesAt(root, 'text-3')).toEqual({});
  });

  test('finds each file of a crowded directory', () => {
    const crowd = folder.at('crowd');
    makeCrowd(crowd, 20_000);
    const path = folder.at('crowd.erofs');
    runTool(['mkfs.erofs', '-E', 'force-inode-extended', path, crowd]);
    using source = FileSource.open(path);
    const { root } = openErofs(source);
    for (const name of readdirSync(crowd).filter((_, index) => index % 37 === 0))
      expect(root.lookup(name)?.kind).toBe('file');
    for (const name of ['file-000000001', '', '.', '..', '~', '!']) expect(root.lookup(name)).toBeUndefined();
    expect(factsOfNode(root)).toEqual(factsOfFolder(crowd));
  });

  test('any part of a compressed file reads as the whole does', () => {
    using source = image('-z', 'lz4', '-C', '16384');
    const mixed = openErofs(source).root.lookup('larger')?.lookup('mixed')?.open();
    const whole = Buffer.from(mixed?.read(0, mixed.size) ?? []);
    for (let offset = 0; offset < whole.length; offset += 33_331) {
      const length = Math.min(5000, whole.length - offset);
      expect(Buffer.from(mixed?.read(offset, length) ?? []).equals(whole.subarray(offset, offset + length))).toBe(true);
    }
  });
});
