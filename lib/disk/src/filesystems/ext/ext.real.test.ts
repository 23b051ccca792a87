// ext file systems of mke2fs, with each of its features, against the tree that they were made from.
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
  type Facts,
} from '../../../testing/trees.ts';
import { FileSource } from '../../node/file-source.ts';
import type { FileNode } from '../file-system.ts';
import { openExt } from './ext.ts';

const MISSING = missingTools('mke2fs', 'e2fsck', 'tune2fs', 'debugfs', 'setfattr', 'mknod');
const UNIT = 4096;

describe.skipIf(MISSING !== '')(`openExt() on images of mke2fs${MISSING}`, () => {
  const folder = new TemporaryFolder();
  const tree = folder.at('tree');
  const withAttributes = folder.at('attributes');
  const crowd = folder.at('crowd');
  let facts: Map<string, Facts>;

  beforeAll(() => {
    makeTree(tree, UNIT);
    makeCrowd(folder.at('tree', 'crowd'), 300);
    addUnixNodes(tree);
    facts = factsOfFolder(tree);
    makeTree(withAttributes, UNIT);
    addAttributes(withAttributes);
    makeCrowd(crowd, 8000);
  });

  afterAll(() => folder[Symbol.dispose]());

  function image(from: string, size: string, ...options: readonly string[]): string {
    const path = folder.at('image.ext');
    runTool(['rm', '-f', path]);
    runTool(['mke2fs', '-q', '-F', '-d', from, ...options, path, size]);
    return path;
  }

  function indexDirectories(path: string): void {
    // e2fsck ends with 1 where it changed something.
    runTool(['sh', '-c', 'e2fsck -fyD "$0" || test $? -eq 1', path]);
  }

  function read(root: FileNode): Map<string, Facts> {
    const found = factsOfNode(root);
    expect(found.delete('lost+found')).toBe(true);
    return found;
  }

  const FEATURES: readonly (readonly [name: string, options: readonly string[]])[] = [
    ['ext2', ['-t', 'ext2']],
    ['ext2 in blocks of 1,024 bytes', ['-t', 'ext2', '-b', '1024']],
    ['ext2 without any feature', ['-t', 'ext2', '-O', 'none', '-I', '128']],
    ['ext3', ['-t', 'ext3']],
    ['ext4', ['-t', 'ext4']],
    ['ext4 in blocks of 1,024 bytes', ['-t', 'ext4', '-b', '1024']],
    ['ext4 in blocks of 2,048 bytes', ['-t', 'ext4', '-b', '2048']],
    ['ext4 in blocks of 65,536 bytes', ['-t', 'ext4', '-b', '65536']],
    ['without 64bit', ['-t', 'ext4', '-O', '^64bit']],
    ['with old group checksums', ['-t', 'ext4', '-O', '^metadata_csum,uninit_bg']],
    ['with old group checksums and 64bit', ['-t', 'ext4', '-O', '^metadata_csum,uninit_bg,64bit']],
    ['without any checksum', ['-t', 'ext4', '-O', '^metadata_csum,^uninit_bg']],
    ['without flex_bg', ['-t', 'ext4', '-O', '^flex_bg', '-g', '2048']],
    ['meta_bg', ['-t', 'ext4', '-O', 'meta_bg,^resize_inode', '-g', '1024', '-b', '1024']],
    ['meta_bg in large groups', ['-t', 'ext4', '-O', 'meta_bg,^resize_inode']],
    ['bigalloc', ['-t', 'ext4', '-O', 'bigalloc', '-C', '16384']],
    ['bigalloc in blocks of 1,024 bytes', ['-t', 'ext4', '-O', 'bigalloc', '-b', '1024', '-C', '8192']],
    ['inline_data', ['-t', 'ext4', '-O', 'inline_data', '-I', '256']],
    ['inline_data in large inodes', ['-t', 'ext4', '-O', 'inline_data', '-I', '1024']],
    ['ea_inode', ['-t', 'ext4', '-O', 'ea_inode']],
    ['large_dir', ['-t', 'ext4', '-O', 'large_dir']],
    ['sparse_super2', ['-t', 'ext4', '-O', 'sparse_super2', '-g', '2048']],
    ['without sparse_super', ['-t', 'ext4', '-O', '^sparse_super,^resize_inode', '-g', '2048']],
    ['casefold', ['-t', 'ext4', '-O', 'casefold', '-E', 'encoding=utf8']],
    ['encrypt and verity', ['-t', 'ext4', '-O', 'encrypt,verity']],
    ['metadata_csum_seed', ['-t', 'ext4', '-O', 'metadata_csum_seed']],
    ['small inodes', ['-t', 'ext4', '-I', '128']],
    ['without dir_index', ['-t', 'ext4', '-O', '^dir_index']],
    ['without extents', ['-t', 'ext4', '-O', '^extents,^64bit']],
    ['without kinds in directories', ['-t', 'ext4', '-O', '^filetype']],
    ['without a journal', ['-t', 'ext4', '-O', '^has_journal']],
    ['fast_commit', ['-t', 'ext4', '-O', 'fast_commit']],
    ['orphan_file', ['-t', 'ext4', '-O', 'orphan_file']],
    ['quota and project', ['-t', 'ext4', '-O', 'quota,project']],
    ['mmp', ['-t', 'ext4', '-O', 'mmp']],
  ];

  test.each(FEATURES)('reads everything of %s, also once e2fsck has indexed its directories', (_, options) => {
    const path = image(tree, '48M', '-N', '1024', ...options);
    const wanted = new Map(facts);
    // mke2fs itself cuts the hole at the end of a file where contents could lie in the inode: debugfs says so, too.
    if (options.includes('inline_data')) wanted.delete('sparse');
    const all = (from: FileSource): Map<string, Facts> => {
      const found = read(openExt(from).root);
      if (!wanted.has('sparse')) found.delete('sparse');
      return found;
    };
    using plain = FileSource.open(path);
    expect(all(plain)).toEqual(wanted);
    indexDirectories(path);
    using source = FileSource.open(path);
    expect(all(source)).toEqual(wanted);
    const { root } = openExt(source);
    const many = root.lookup('crowd');
    for (const name of readdirSync(folder.at('tree', 'crowd'))) expect(many?.lookup(name)?.kind).toBe('file');
    expect(many?.lookup('file-000000001')).toBeUndefined();
  });

  test('finds each of 8,000 files by an index of two levels, with each of the hashes', () => {
    const path = image(crowd, '32M', '-t', 'ext4', '-b', '1024', '-N', '9000', '-O', '^has_journal');
    for (const hash of ['legacy', 'half_md4', 'tea']) {
      runTool(['tune2fs', '-E', `hash_alg=${hash}`, path]);
      indexDirectories(path);
      expect(runTool(['debugfs', '-R', 'htree_dump /', path]).toString()).toMatch(/Indirect levels: 1/);
      using source = FileSource.open(path);
      const { root } = openExt(source);
      const names = readdirSync(crowd);
      for (const name of names) expect(root.lookup(name)?.kind).toBe('file');
      expect([...root.entries()].map(({ name }) => name).toSorted()).toEqual([...names, 'lost+found'].toSorted());
    }
  });

  test('finds names with any byte by the index', () => {
    const odd = folder.at('odd');
    makeCrowd(odd, 500);
    for (const name of ['ä€😀', 'ÿ'.repeat(100), '日本語のファイル']) runTool(['touch', `${odd}/${name}`]);
    for (const flags of ['signed_directory_hash', 'unsigned_directory_hash']) {
      const path = image(odd, '16M', '-t', 'ext4', '-b', '1024');
      runTool(['debugfs', '-w', '-R', `set_super_value flags ${flags.startsWith('un') ? 2 : 1}`, path]);
      indexDirectories(path);
      using source = FileSource.open(path);
      const { root } = openExt(source);
      for (const name of readdirSync(odd)) expect(root.lookup(name)?.kind).toBe('file');
    }
  });

  test.each([
    ['in inodes of 256 bytes', []],
    ['in inodes of 1,024 bytes', ['-I', '1024']],
    ['in inodes of their own', ['-O', 'ea_inode', '-I', '256']],
    ['beside contents in the inode', ['-O', 'inline_data', '-I', '512']],
    ['without checksums', ['-O', '^metadata_csum']],
  ])('reads extended attributes %s', (_, options) => {
    using source = FileSource.open(image(withAttributes, '24M', '-t', 'ext4', '-b', '4096', ...options));
    const { root } = openExt(source);
    expect(attributesAt(root, 'text-1')).toEqual({ 'user.note': 'small', 'trusted.kept': 'x'.repeat(3000) });
    for (const file of ['random-1', 'random-2', 'random-3', 'empty']) {
      expect(attributesAt(root, file)).toEqual({ 'user.shared': 'y'.repeat(200) });
    }
    expect(root.lookup('text-2')?.extendedAttributes().get('security.capability')?.length).toBe(20);
    expect(attributesAt(root, 'text-3')).toEqual({});
  });

  test('names without regard to case where the directory has it so', () => {
    const path = image(tree, '48M', '-t', 'ext4', '-O', 'casefold', '-E', 'encoding=utf8');
    runTool(['debugfs', '-w', '-R', 'mkdir /folded', path]);
    runTool(['debugfs', '-w', '-R', 'set_inode_field /folded flags 0x40080000', path]);
    runTool(['debugfs', '-w', '-R', `write ${folder.at('tree', 'text-1')} folded/Straße`, path]);
    using source = FileSource.open(path);
    const { root } = openExt(source);
    expect(root.lookup('folded')?.lookup('STRASSE')?.kind).toBe('file');
    expect(root.lookup('folded')?.lookup('strasze')).toBeUndefined();
    expect(root.lookup('TEXT-1')).toBeUndefined();
  });

  test('passes over holes', () => {
    using source = FileSource.open(image(tree, '48M', '-t', 'ext4', '-b', '4096'));
    const sparse = openExt(source).root.lookup('sparse')?.open();
    expect(sparse?.nextData?.(0)).toEqual({ offset: 4 * UNIT, length: UNIT });
    expect(sparse?.nextData?.(5 * UNIT)).toEqual({ offset: 20 * UNIT, length: UNIT });
    expect(sparse?.nextData?.(21 * UNIT)).toBeUndefined();
  });

  test('says label, uuid, kind and size', () => {
    const uuid = '12345678-9abc-4ef0-8234-56789abcdef0';
    using source = FileSource.open(image(tree, '48M', '-t', 'ext3', '-L', 'a label', '-U', uuid));
    expect(openExt(source)).toMatchObject({ kind: 'ext3', label: 'a label', uuid, size: 48 * 2 ** 20 });
  });
});
