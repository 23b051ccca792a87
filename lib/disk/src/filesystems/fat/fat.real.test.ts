// FAT volumes of mkfs.fat and mtools, against the tree that was copied into them.
import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingTools, runTool, TemporaryFolder } from '../../../testing/tools.ts';
import { contentsOf, factsOfFolder, factsOfNode, makeCrowd, makeTree } from '../../../testing/trees.ts';
import { FileSource } from '../../node/file-source.ts';
import { openFat } from './fat.ts';

const MISSING = missingTools('mkfs.vfat', 'mcopy', 'mdel', 'mdeltree', 'fallocate');

describe.skipIf(MISSING !== '')(`openFat() on volumes of mkfs.fat and mtools${MISSING}`, () => {
  const folder = new TemporaryFolder();
  const tree = folder.at('tree');

  beforeAll(() => {
    makeTree(tree, 16_384);
    // mtools writes these two without long names, and loses characters.
    for (const name of ['ä€😀', 'ünïcödé.txt']) rmSync(folder.at('tree', 'names', name));
    writeFileSync(folder.at('tree', 'names', 'a long name in ünïcödé, with ж.txt'), 'long');
  });

  afterAll(() => folder[Symbol.dispose]());

  function volume(mebibytes: number, ...options: readonly string[]): string {
    const path = folder.at(`volume-${readdirSync(folder.path).length}`);
    runTool(['fallocate', '-l', `${mebibytes}M`, path]);
    runTool(['mkfs.vfat', ...options, path]);
    return path;
  }

  function copyInto(path: string, from: string): void {
    const files = readdirSync(from).map((name) => `${from}/${name}`);
    runTool(['mcopy', '-i', path, '-s', '-Q', '-m', ...files, '::']);
  }

  test.each([
    ['FAT12', 'fat12', 4, ['-F', '12', '-s', '8']],
    ['FAT16', 'fat16', 16, ['-F', '16']],
    ['FAT16 in large sectors', 'fat16', 64, ['-F', '16', '-S', '4096']],
    ['FAT32', 'fat32', 40, ['-F', '32', '-s', '1']],
    ['one table', 'fat16', 16, ['-F', '16', '-f', '1']],
  ])('reads everything: %s', (_, kind, mebibytes, options) => {
    const path = volume(mebibytes, '-n', 'EFI', '-i', '1234abcd', ...options);
    copyInto(path, tree);
    using source = FileSource.open(path);
    const fat = openFat(source);
    expect([fat.kind, fat.label, fat.uuid]).toEqual([kind, 'EFI', '1234-ABCD']);
    expect(contentsOf(factsOfNode(fat.root))).toEqual(contentsOf(factsOfFolder(tree)));
  });

  test('reads a file in many pieces', () => {
    const path = volume(8, '-F', '16', '-s', '1');
    const pieces = folder.at('pieces');
    for (let index = 0; index < 60; index += 1) {
      writeFileSync(pieces, randomBytes(9000));
      runTool(['mcopy', '-i', path, pieces, `::piece${index}`]);
    }
    for (let index = 0; index < 60; index += 2) runTool(['mdel', '-i', path, `::piece${index}`]);
    const large = randomBytes(5_000_000);
    writeFileSync(pieces, large);
    runTool(['mcopy', '-i', path, pieces, '::large']);
    using source = FileSource.open(path);
    const file = openFat(source).root.lookup('LARGE')?.open();
    expect(Buffer.from(file?.read(0, large.length) ?? []).equals(large)).toBe(true);
    for (let at = 0; at < large.length - 20_000; at += 333_333) {
      expect(Buffer.from(file?.read(at, 20_000) ?? []).equals(large.subarray(at, at + 20_000))).toBe(true);
    }
  });

  test('finds each file of a crowded directory, whatever its case', () => {
    const crowd = folder.at('crowd');
    makeCrowd(crowd, 300);
    const path = volume(40, '-F', '32', '-s', '1');
    runTool(['mcopy', '-i', path, '-s', '-Q', crowd, '::crowd']);
    using source = FileSource.open(path);
    const directory = openFat(source).root.lookup('crowd');
    for (const name of readdirSync(crowd)) {
      expect(directory?.lookup(name)?.kind).toBe('file');
      expect(directory?.lookup(name.toUpperCase())?.id).toBe(directory?.lookup(name)?.id);
    }
    expect(directory?.lookup('file-1')).toBeUndefined();
    expect(contentsOf(factsOfNode(openFat(source).root.lookup('crowd') ?? openFat(source).root))).toEqual(
      contentsOf(factsOfFolder(crowd)),
    );
  });

  test('reads what was deleted, by the name that is left of it', () => {
    const path = volume(16, '-F', '16');
    const secret = randomBytes(40_000);
    writeFileSync(folder.at('A long secret name.key'), secret);
    writeFileSync(folder.at('SHORT.TXT'), 'short');
    writeFileSync(folder.at('other.bin'), randomBytes(5000));
    runTool([
      'mcopy',
      '-i',
      path,
      folder.at('SHORT.TXT'),
      folder.at('A long secret name.key'),
      folder.at('other.bin'),
      '::',
    ]);
    runTool(['mmd', '-i', path, '::gone']);
    runTool(['mcopy', '-i', path, folder.at('other.bin'), '::gone/inside a tree.bin']);
    runTool(['mdel', '-i', path, '::A long secret name.key', '::SHORT.TXT']);
    runTool(['mdeltree', '-i', path, '::gone']);
    using source = FileSource.open(path);
    const fat = openFat(source);
    const deleted = [...(fat.deletedFiles?.() ?? [])];
    expect(deleted.map(({ name, overwrittenBlocks }) => [name, overwrittenBlocks])).toEqual([
      ['?HORT.TXT', 0],
      ['A long secret name.key', 0],
      ['inside a tree.bin', 0],
    ]);
    const contents = deleted[1]?.node.open().read(0, secret.length);
    expect(Buffer.from(contents ?? []).equals(secret)).toBe(true);
    expect([...fat.root.entries()].map(({ name }) => name)).toEqual(['other.bin']);

    // What takes their place makes them doubtful.
    runTool(['mcopy', '-i', path, folder.at('tree', 'mixed'), '::']);
    using later = FileSource.open(path);
    const doubtful = [...(openFat(later).deletedFiles?.() ?? [])].find(({ name }) => name === 'A long secret name.key');
    expect(doubtful?.overwrittenBlocks ?? 1).toBeGreaterThan(0);
  });
});
