// NTFS volumes of mkntfs and ntfs-3g, against the tree that was copied into them.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingTools, runTool, TemporaryFolder } from '../../../testing/tools.ts';
import { contentsOf, factsOfFolder, factsOfNode, makeCrowd, makeTree } from '../../../testing/trees.ts';
import { FileSource } from '../../node/file-source.ts';
import { openNtfs } from './ntfs.ts';

const MISSING = missingTools('mkntfs', 'ntfs-3g', 'unshare', 'setfattr');
const HAS_FUSE = existsSync('/dev/fuse');
const NEEDS = MISSING === '' && !HAS_FUSE ? ' (skipped: needs /dev/fuse)' : MISSING;

describe.skipIf(NEEDS !== '')(`openNtfs() on volumes of mkntfs and ntfs-3g${NEEDS}`, () => {
  const folder = new TemporaryFolder();
  const tree = folder.at('tree');

  beforeAll(() => {
    makeTree(tree, 16_384);
    for (const name of readdirSync(folder.at('tree', 'names')))
      if (name.length === 200) rmSync(folder.at('tree', 'names', name));
  });

  afterAll(() => folder[Symbol.dispose]());

  function volume(mebibytes: number, ...options: readonly string[]): string {
    const path = folder.at(`volume-${readdirSync(folder.path).length}`);
    runTool(['truncate', '-s', `${mebibytes}M`, path]);
    runTool(['mkntfs', '-F', '-Q', '-q', '-L', 'Wünde', ...options, path]);
    return path;
  }

  /** Runs `script` where the volume is mounted: in a mount namespace of its own, which ends with it. */
  function inside(path: string, script: string, mountOptions = 'streams_interface=xattr'): void {
    const mount = folder.at('mount');
    const steps = ['mkdir -p "$1"', `ntfs-3g -o ${mountOptions} "$0" "$1"`, `(cd "$1" && ${script})`, 'umount "$1"'];
    runTool(['unshare', '-m', 'sh', '-ec', steps.join('\n'), path, mount, tree]);
  }

  test.each([
    ['clusters of 4 KiB', []],
    ['clusters of 512 bytes', ['-c', '512']],
    ['clusters of 64 KiB', ['-c', '65536']],
    ['sectors of 4 KiB', ['-s', '4096']],
  ])('reads everything, with %s', (_, options) => {
    const path = volume(48, ...options);
    inside(path, 'cp -r --sparse=always "$2"/. .');
    using source = FileSource.open(path);
    const ntfs = openNtfs(source);
    expect([ntfs.kind, ntfs.label, ntfs.notes]).toEqual(['ntfs', 'Wünde', []]);
    expect(contentsOf(factsOfNode(ntfs.root))).toEqual(contentsOf(factsOfFolder(tree)));
  });

  test('reads compressed files', () => {
    const path = volume(48);
    const script = 'mkdir packed && setfattr -n system.ntfs_attrib -v 0x00080000 packed && cp -r "$2"/. packed/';
    inside(path, script, 'compression');
    using source = FileSource.open(path);
    const packed = openNtfs(source).root.lookup('packed');
    expect(contentsOf(factsOfNode(packed ?? openNtfs(source).root))).toEqual(contentsOf(factsOfFolder(tree)));
    const mixed = packed?.lookup('mixed')?.open();
    const whole = readFileSync(folder.at('tree', 'mixed'));
    for (let at = 0; at + 5000 < whole.length; at += 29_999) {
      expect(Buffer.from(mixed?.read(at, 5000) ?? []).equals(whole.subarray(at, at + 5000))).toBe(true);
    }
  });

  test('finds each file of a crowded directory by its index, whatever its case', () => {
    const crowd = folder.at('crowd');
    makeCrowd(crowd, 2000);
    const path = volume(64);
    inside(path, `cp -r '${crowd}' .`);
    using source = FileSource.open(path);
    const directory = openNtfs(source).root.lookup('CROWD');
    for (const name of readdirSync(crowd)) expect(directory?.lookup(name.toUpperCase())?.kind).toBe('file');
    expect(directory?.lookup('file-1')).toBeUndefined();
    expect(contentsOf(factsOfNode(directory ?? openNtfs(source).root))).toEqual(contentsOf(factsOfFolder(crowd)));
  });

  test('links, names in other cases, streams', () => {
    const path = volume(16);
    const script = [
      'echo one > File; echo two > fILE; ln File hard; ln -s hard soft; mkdir sub',
      'setfattr -n user.note -v "a note" File; setfattr -n user.big -v 0x$(printf "%02000d" 0) sub',
    ];
    inside(path, script.join('\n'));
    using source = FileSource.open(path);
    const { root } = openNtfs(source);
    const text = (name: string): string => Buffer.from(root.lookup(name)?.open().read(0, 4) ?? []).toString();
    expect([text('File'), text('fILE'), text('hard')]).toEqual(['one\n', 'two\n', 'one\n']);
    expect(root.lookup('hard')?.id).toBe(root.lookup('File')?.id);
    expect(root.lookup('hard')?.links).toBe(2);
    expect([root.lookup('soft')?.kind, root.lookup('soft')?.target()]).toEqual(['symlink', 'hard']);
    expect(root.lookup('File')?.extendedAttributes().get('user.note')).toEqual(new Uint8Array(Buffer.from('a note')));
    expect(root.lookup('sub')?.extendedAttributes().get('user.big')?.length).toBe(1000);
  });

  test('reads a file in so many pieces that its record does not hold them', () => {
    const path = volume(32, '-c', '512');
    const pieces = Array.from({ length: 2000 }, (_, index) =>
      index % 2 === 0 ? randomBytes(4096) : Buffer.alloc(4096),
    );
    const large = Buffer.concat(pieces);
    writeFileSync(folder.at('large'), large);
    inside(path, `cp --sparse=always '${folder.at('large')}' large`);
    using source = FileSource.open(path);
    const { root } = openNtfs(source);
    expect(runTool(['ntfsinfo', '-F', 'large', path]).toString()).toContain('$ATTRIBUTE_LIST');
    const file = root.lookup('large')?.open();
    expect(Buffer.from(file?.read(0, file.size) ?? []).equals(large)).toBe(true);
  });

  test('reads what was deleted', () => {
    const path = volume(16);
    const secret = randomBytes(40_000);
    writeFileSync(folder.at('secret'), secret);
    inside(
      path,
      `cp '${folder.at('secret')}' 'A long secret name.key'; echo small > small.txt; sync; rm -f 'A long secret name.key' small.txt`,
    );
    using source = FileSource.open(path);
    const deleted = [...(openNtfs(source).deletedFiles?.() ?? [])];
    const found = deleted.find(({ name }) => name === 'A long secret name.key');
    expect(found?.overwrittenBlocks).toBe(0);
    expect(Buffer.from(found?.node.open().read(0, secret.length) ?? []).equals(secret)).toBe(true);
    const small = deleted.find(({ name }) => name === 'small.txt');
    expect(Buffer.from(small?.node.open().read(0, 6) ?? []).toString()).toBe('small\n');
  });
});
