// XFS file systems of mkfs.xfs, filled by a kernel, against the tree that they were filled with.
import { readdirSync, writeFileSync } from 'node:fs';
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
import { xfsPrototype } from '../../../testing/xfs-prototype.ts';
import { FileSource } from '../../node/file-source.ts';
import { openXfs } from './xfs.ts';

const MISSING = missingTools('mkfs.xfs', 'mount', 'unshare', 'setfattr', 'truncate');
const UNIT = 4096;

/** Copies the tree into a mounted file system; what the third argument says is done there, too. */
const FILL =
  'mkdir -p "$0.mnt"; mount -o loop "$0" "$0.mnt"; cp -a "$1/." "$0.mnt"; cd "$0.mnt"; eval "$2"; cd /; umount "$0.mnt"';
const DIRTY =
  'mkdir -p "$0.mnt"; mount -o loop "$0" "$0.mnt"; echo x > "$0.mnt/new"; sync "$0.mnt/new"; cp --sparse=always "$0" "$1"; umount "$0.mnt"';

function canMount(folder: TemporaryFolder, options: readonly string[]): boolean {
  try {
    const path = folder.at('probe');
    makeImage(path, options);
    const empty = folder.at('empty');
    runTool(['mkdir', '-p', empty]);
    runTool(['unshare', '-m', 'sh', '-ec', FILL, path, empty, ':']);
    return true;
  } catch {
    return false;
  }
}

function makeImage(path: string, options: readonly string[]): void {
  runTool(['rm', '-f', path]);
  runTool(['truncate', '-s', '320M', path]);
  runTool(['mkfs.xfs', '-q', '-f', ...options, path]);
}

const folder = new TemporaryFolder();
const LACKING = MISSING === '' && !canMount(folder, []) ? ' (skipped: needs loop mounts of XFS)' : MISSING;

afterAll(() => folder[Symbol.dispose]());

describe.skipIf(MISSING !== '')(`openXfs() on version 4, which new kernels do not mount${MISSING}`, () => {
  const tree = folder.at('tree-4');
  beforeAll(() => {
    makeTree(tree, UNIT);
    makeCrowd(folder.at('tree-4', 'crowd'), 1000);
  });

  test.each([
    ['as it comes', []],
    ['blocks of 1,024 bytes', ['-b', 'size=1024']],
    ['without kinds in directories', ['-n', 'ftype=0']],
    ['without regard to case', ['-n', 'version=ci']],
  ])('reads everything: %s', (_, options) => {
    const path = folder.at('image-4');
    const prototype = folder.at('prototype');
    writeFileSync(prototype, xfsPrototype(tree));
    makeImage(path, ['-m', 'crc=0,finobt=0', '-p', prototype, ...options]);
    using source = FileSource.open(path);
    const { root } = openXfs(source);
    const found = factsOfNode(root);
    const essence = (facts: Map<string, Facts>): string[] =>
      [...facts]
        .filter(([name]) => !name.includes(' '))
        .map(([name, { kind, contents }]) => `${name} ${kind} ${contents}`)
        .toSorted();
    expect(essence(found)).toEqual(essence(factsOfFolder(tree)));
    expect(root.lookup('TEXT-1') !== undefined).toBe(options.includes('version=ci'));
  });
});

describe.skipIf(LACKING !== '')(`openXfs() on images of mkfs.xfs${LACKING}`, () => {
  const tree = folder.at('tree');
  let facts: Map<string, Facts>;

  beforeAll(() => {
    makeTree(tree, UNIT);
    addUnixNodes(tree);
    makeCrowd(folder.at('tree', 'some'), 20);
    makeCrowd(folder.at('tree', 'crowd'), 3000);
    facts = factsOfFolder(tree);
  });

  function filled(options: readonly string[], more = ':', from: string = tree): string {
    const path = folder.at('image');
    makeImage(path, options);
    runTool(['unshare', '-m', 'sh', '-ec', FILL, path, from, more]);
    return path;
  }

  test.each([
    ['as it comes', []],
    ['without reflink', ['-m', 'reflink=0,rmapbt=0']],
    ['with rmapbt', ['-m', 'rmapbt=1,finobt=1']],
    ['old times', ['-m', 'bigtime=0']],
    ['many extents', ['-i', 'nrext64=1']],
    ['blocks of 1,024 bytes', ['-b', 'size=1024']],
    ['directory blocks of 16 KiB', ['-n', 'size=16384']],
    ['blocks of 1,024 bytes, directories of 8 KiB', ['-b', 'size=1024', '-n', 'size=8192']],
    ['inodes of 2,048 bytes', ['-i', 'size=2048']],
    ['no sparse inodes', ['-i', 'sparse=0']],
    ['two groups', ['-d', 'agcount=2']],
    ['sectors of 4,096 bytes', ['-s', 'size=4096']],
  ])('reads everything: %s', (_, options) => {
    using source = FileSource.open(filled(options));
    const system = openXfs(source);
    expect(system.notes).toEqual([]);
    expect(factsOfNode(system.root)).toEqual(facts);
    const crowd = system.root.lookup('crowd');
    for (const name of readdirSync(folder.at('tree', 'crowd')).filter((__, index) => index % 50 === 0)) {
      expect(crowd?.lookup(name)?.kind).toBe('file');
    }
    expect(crowd?.lookup('absent')).toBeUndefined();
  });

  test.each<readonly [name: string, options: readonly string[]]>([
    ['version 5', []],
    ['version 5 in blocks of 1,024 bytes', ['-b', 'size=1024']],
  ])('a file in a thousand pieces, shared pieces, holes: %s', (_, options) => {
    const small = folder.at('small');
    runTool(['mkdir', '-p', small]);
    const script =
      'for i in $(seq 0 2 1200); do echo "piece $i" | dd of=pieces bs=4096 seek=$i conv=notrunc status=none; done; ' +
      'cp --reflink=auto pieces shared; echo changed | dd of=shared bs=1 seek=4096000 conv=notrunc status=none; ' +
      'fallocate -l 100000 unwritten; sha256sum pieces shared unwritten > sums';
    using source = FileSource.open(filled(options, script, small));
    const { root } = openXfs(source);
    const sums = Buffer.from(
      root
        .lookup('sums')
        ?.open()
        .read(0, root.lookup('sums')?.size ?? 0) ?? [],
    ).toString();
    const found = factsOfNode(root);
    for (const name of ['pieces', 'shared', 'unwritten']) {
      expect(sums).toContain(`${found.get(name)?.contents.split(' ')[1]}  ${name}`);
    }
    const pieces = root.lookup('pieces')?.open();
    expect(pieces?.nextData?.(1)?.offset).toBe(1);
    expect(pieces?.nextData?.(4096)).toMatchObject({ offset: 8192 });
  });

  test.each<readonly [name: string, options: readonly string[]]>([
    ['version 5', []],
    ['version 5 in blocks of 1,024 bytes', ['-b', 'size=1024']],
  ])('extended attributes, short, in leafs, in many leafs, and large: %s', (_, options) => {
    const withAttributes = folder.at('attributes');
    runTool(['rm', '-rf', withAttributes]);
    makeTree(withAttributes, 512);
    addAttributes(withAttributes);
    const script =
      'for i in $(seq 1 300); do setfattr -n user.number-$i -v "value $i" mixed; done; ' +
      "head -c 60000 /dev/zero | tr \"\\0\" z > v; python3 -c \"import os; os.setxattr('mixed', 'user.large', open('v', 'rb').read())\"";
    using source = FileSource.open(filled(options, script, withAttributes));
    const { root } = openXfs(source);
    expect(attributesAt(root, 'text-1')).toEqual({ 'user.note': 'small', 'trusted.kept': 'x'.repeat(3000) });
    expect(attributesAt(root, 'empty')).toEqual({ 'user.shared': 'y'.repeat(200) });
    expect(root.lookup('text-2')?.extendedAttributes().get('security.capability')?.length).toBe(20);
    const many = attributesAt(root, 'mixed');
    expect(Object.keys(many).length).toBe(301);
    expect(many['user.number-77']).toBe('value 77');
    expect(many['user.large']).toBe('z'.repeat(60_000));
  });

  test('says that a log is dirty', () => {
    const path = folder.at('image');
    const copy = folder.at('copy');
    makeImage(path, []);
    runTool(['unshare', '-m', 'sh', '-ec', DIRTY, path, copy]);
    using clean = FileSource.open(path);
    using dirty = FileSource.open(copy);
    expect(openXfs(clean).notes).toEqual([]);
    expect(openXfs(dirty).notes).toEqual([expect.stringMatching(/log is dirty and was not replayed/)]);
  });

  test('says label, uuid, and size', () => {
    const uuid = '12345678-9abc-4ef0-8234-56789abcdef0';
    const path = folder.at('image');
    makeImage(path, ['-L', 'a label', '-m', `uuid=${uuid}`]);
    using source = FileSource.open(path);
    expect(openXfs(source)).toMatchObject({ kind: 'xfs', label: 'a label', uuid, size: 320 * 2 ** 20 });
  });
});
