// Discs of xorriso, against the tree that they were made from.
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingTools, runTool, TemporaryFolder } from '../../../testing/tools.ts';
import {
  addUnixNodes,
  contentsOf,
  factsOfFolder,
  factsOfNode,
  makeCrowd,
  makeTree,
  type Facts,
} from '../../../testing/trees.ts';
import { FileSource } from '../../node/file-source.ts';
import { openIso9660 } from './iso9660.ts';

const MISSING = missingTools('xorriso', 'mknod');

describe.skipIf(MISSING !== '')(`openIso9660() on discs of xorriso${MISSING}`, () => {
  const folder = new TemporaryFolder();
  const tree = folder.at('tree');
  const plain = folder.at('plain');

  beforeAll(() => {
    makeTree(tree, 2048);
    addUnixNodes(tree);
    runTool(['mkdir', '-p', `${plain}/DIR`]);
    runTool(['sh', '-c', 'echo one > "$0/FILE.TXT"; echo two > "$0/DIR/NOEXT"', plain]);
  });

  afterAll(() => folder[Symbol.dispose]());

  function disc(from: string, ...options: readonly string[]): FileSource {
    const path = folder.at(`disc-${readdirSync(folder.path).length}`);
    runTool(['xorriso', '-as', 'mkisofs', '-quiet', '-V', 'LABEL', ...options, '-o', path, from]);
    return FileSource.open(path);
  }

  /** xorriso keeps no link counts, and device numbers of 8 bits each. */
  function withoutLinks(facts: ReadonlyMap<string, Facts>): Map<string, Facts> {
    return new Map(
      [...facts].filter(([path]) => path !== 'nodes/high').map(([path, fact]) => [path, { ...fact, links: undefined }]),
    );
  }

  test.each([
    ['Rock Ridge', ['-R']],
    ['Rock Ridge beside Joliet', ['-R', '-J', '-joliet-long']],
    ['large files allowed', ['-R', '-iso-level', '3']],
  ])('reads everything: %s', (_, options) => {
    using source = disc(tree, ...options);
    const iso = openIso9660(source);
    expect([iso.kind, iso.names, iso.label]).toEqual(['iso9660', 'rock-ridge', 'LABEL']);
    expect(iso.uuid).toMatch(/^\d{4}(-\d\d){6}$/);
    const found = withoutLinks(factsOfNode(iso.root));
    expect(contentsOf(found)).toEqual(contentsOf(withoutLinks(factsOfFolder(tree))));
  });

  test('owners, permissions, times and devices, as they were', () => {
    const path = folder.at('exact');
    runTool(['xorriso', '-outdev', path, '-map', tree, '/', '-rockridge', 'on']);
    using source = FileSource.open(path);
    expect(withoutLinks(factsOfNode(openIso9660(source).root))).toEqual(withoutLinks(factsOfFolder(tree)));
  });

  test('deep directories that lie elsewhere are where they belong', () => {
    const path = folder.at('relocated');
    runTool(['xorriso', '-outdev', path, '-compliance', 'deep_paths_off', '-map', tree, '/']);
    using source = FileSource.open(path);
    const found = contentsOf(withoutLinks(factsOfNode(openIso9660(source).root)));
    // Where they lie is a directory of its own, which Linux shows too.
    found.delete('rr_moved');
    expect(found).toEqual(contentsOf(withoutLinks(factsOfFolder(tree))));
  });

  test('Joliet where there is no Rock Ridge, and plain names where there is neither', () => {
    using joliet = disc(plain, '--norock', '-J');
    const unicode = openIso9660(joliet);
    expect(unicode.names).toBe('joliet');
    expect(contentsOf(factsOfNode(unicode.root))).toEqual(contentsOf(factsOfFolder(plain)));
    using bare = disc(plain, '--norock');
    const upper = openIso9660(bare);
    expect(upper.names).toBe('plain');
    expect(contentsOf(factsOfNode(upper.root))).toEqual(contentsOf(factsOfFolder(plain)));
    expect(upper.root.lookup('dir')?.lookup('noext')?.kind).toBe('file');
    expect(upper.root.lookup('DIR')?.permissions).toBeUndefined();
  });

  test('finds each file of a crowded directory', () => {
    const crowd = folder.at('crowd');
    makeCrowd(crowd, 3000);
    using source = disc(crowd, '-R');
    const { root } = openIso9660(source);
    for (const name of readdirSync(crowd)) expect(root.lookup(name)?.kind).toBe('file');
    expect(root.lookup('file-1')).toBeUndefined();
    expect(contentsOf(factsOfNode(root))).toEqual(contentsOf(factsOfFolder(crowd)));
  });

  test('shows what firmware starts', () => {
    using source = disc(
      tree,
      '-R',
      '-b',
      'random-3',
      '-no-emul-boot',
      '-boot-load-size',
      '4',
      '-eltorito-alt-boot',
      '-e',
      'mixed',
      '-no-emul-boot',
    );
    const iso = openIso9660(source);
    const entries = iso.bootEntries();
    expect(entries.map(({ platform, isBootable }) => [platform, isBootable])).toEqual([
      ['bios', true],
      ['efi', true],
    ]);
    const image = iso.root.lookup('random-3')?.open();
    expect(entries[0]?.loaded.read(0, 2048)).toEqual(image?.read(0, 2048));
    using without = disc(plain, '-R');
    expect(openIso9660(without).bootEntries()).toEqual([]);
  });

  test('a file packed by zisofs says so', () => {
    const path = folder.at('packed');
    runTool(['xorriso', '-outdev', path, '-map', tree, '/', '-set_filter_r', '--zisofs', '/mixed', '--']);
    using source = FileSource.open(path);
    const mixed = openIso9660(source).root.lookup('mixed');
    expect(mixed?.size).toBe(factsOfFolder(tree).get('mixed')?.contents.split(' ').map(Number)[0]);
    expect(() => mixed?.open()).toThrow(/zisofs/);
  });
});
