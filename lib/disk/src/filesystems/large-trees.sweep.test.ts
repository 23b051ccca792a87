// Twenty thousand files through every file system, each made by its own tool of the same tree, and all of it compared: names,
// kinds, contents by digest, targets, links and attributes. FAT gets 4,000 of them: its tool takes a millisecond for each.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  addHugeFile,
  addLinksAndAttributes,
  attributesOfLinked,
  HUGE_DATA,
  LINKED_FILES,
  makeLargeTree,
} from '../../testing/large-tree.ts';
import { missingTools, runTool, TemporaryFolder } from '../../testing/tools.ts';
import { attributesAt, contentsOf, factsOfFolder, factsOfNode, textOf } from '../../testing/trees.ts';
import { nodeCodecs as codecs } from '../node/codecs.ts';
import { FileSource } from '../node/file-source.ts';
import type { ByteSource } from '../source/byte-source.ts';
import { openErofs } from './erofs/erofs.ts';
import { openExt } from './ext/ext.ts';
import { openFat } from './fat/fat.ts';
import type { FileNode, FileSystem } from './file-system.ts';
import { openIso9660 } from './iso9660/iso9660.ts';
import { openNtfs } from './ntfs/ntfs.ts';
import { openSquashfs } from './squashfs/squashfs.ts';
import { openXfs } from './xfs/xfs.ts';

/** Loop mounts in a mount namespace of its own, which ends with the script. */
const MOUNTED =
  'mkdir -p "$0.mnt"; mount -o loop "$0" "$0.mnt"; cp -a --sparse=always "$1/." "$0.mnt"; umount "$0.mnt"';
const NTFS = 'mkdir -p "$0.mnt"; ntfs-3g "$0" "$0.mnt"; cp -r --sparse=always "$1/." "$0.mnt"; umount "$0.mnt"';
const EXT_MIB = '300M';
const XFS_MIB = '400M';
const NTFS_MIB = '200M';
/** To make the tree, and to remove it: some seconds on a quiet machine. */
const SETUP_TIMEOUT_MS = 300_000;
const FAT_MIB = '100M';

interface Kind {
  readonly name: string;
  readonly tools: readonly string[];
  /** Makes the image of the tree; throws where this machine cannot. */
  readonly make: (path: string, tree: string) => void;
  readonly open: (source: ByteSource) => FileSystem;
  /** Beside contents, targets and kinds: hard links with attributes, a file of 5 GiB. */
  readonly keeps: readonly ('links' | 'huge')[];
  /** The paths that it was given, where that is not all. */
  readonly holds?: RegExp;
}

const FAT_CROWDS = Array.from({ length: 20 }, (_, index) => `crowd ${20 + index}`);

const KINDS: readonly Kind[] = [
  {
    name: 'ext4',
    tools: ['mke2fs'],
    make: (path, tree) => void runTool(['mke2fs', '-q', '-F', '-t', 'ext4', '-N', '30000', '-d', tree, path, EXT_MIB]),
    open: openExt,
    keeps: ['links', 'huge'],
  },
  {
    name: 'XFS',
    tools: ['mkfs.xfs', 'mount', 'unshare', 'truncate'],
    make(path, tree) {
      runTool(['truncate', '-s', XFS_MIB, path]);
      runTool(['mkfs.xfs', '-q', '-f', path]);
      runTool(['unshare', '-m', 'sh', '-ec', MOUNTED, path, tree]);
    },
    open: openXfs,
    keeps: ['links', 'huge'],
  },
  {
    name: 'NTFS',
    tools: ['mkntfs', 'ntfs-3g', 'unshare', 'truncate'],
    make(path, tree) {
      runTool(['truncate', '-s', NTFS_MIB, path]);
      runTool(['mkntfs', '-F', '-Q', '-q', path]);
      runTool(['unshare', '-m', 'sh', '-ec', NTFS, path, tree]);
    },
    open: openNtfs,
    keeps: ['huge'],
  },
  {
    name: 'squashfs',
    tools: ['mksquashfs'],
    make: (path, tree) => void runTool(['mksquashfs', tree, path, '-quiet', '-no-progress', '-e', 'special/huge']),
    open: (source) => openSquashfs(source, { codecs }),
    keeps: ['links'],
  },
  {
    name: 'erofs',
    tools: ['mkfs.erofs'],
    make: (path, tree) => void runTool(['mkfs.erofs', '-zlz4', '--exclude-path=special/huge', path, tree]),
    open: openErofs,
    keeps: ['links'],
  },
  {
    name: 'ISO 9660',
    tools: ['xorriso'],
    make: (path, tree) => void runTool(['xorriso', '-as', 'mkisofs', '-quiet', '-R', '-m', 'huge', '-o', path, tree]),
    open: openIso9660,
    keeps: [],
  },
  {
    name: 'FAT32',
    tools: ['mkfs.vfat', 'mcopy', 'truncate'],
    make(path, tree) {
      runTool(['truncate', '-s', FAT_MIB, path]);
      runTool(['mkfs.vfat', '-F', '32', '-s', '1', path]);
      runTool(['mcopy', '-i', path, '-s', '-Q', '-m', ...FAT_CROWDS.map((name) => `${tree}/${name}`), '::']);
    },
    open: openFat,
    keeps: [],
    holds: /^crowd [23]\d(?:\/|$)/,
  },
];

const LACKS = `${missingTools('setfattr', 'find')}${process.getuid?.() === 0 ? '' : ' (skipped: needs root)'}`;

describe.skipIf(LACKS !== '')(`20,000 files${LACKS}`, () => {
  const folder = new TemporaryFolder();
  const tree = folder.at('tree');
  let wanted: Map<string, string>;

  beforeAll(() => {
    makeLargeTree(tree);
    addLinksAndAttributes(tree);
    // By the host's own file system, before the huge file is there: nobody digests that.
    wanted = contentsOf(factsOfFolder(tree));
    addHugeFile(tree);
  }, SETUP_TIMEOUT_MS);
  afterAll(() => folder[Symbol.dispose](), SETUP_TIMEOUT_MS);

  test('are as many', () => {
    expect([...wanted.values()].filter((facts) => facts.startsWith('file ')).length).toBeGreaterThan(20_000);
  });

  test.for(KINDS)('$name: each is read as it is', ({ name, tools, make, open, keeps, holds = /./ }, { skip }) => {
    if (missingTools(...tools) !== '') skip(`needs ${tools.join(', ')}`);
    const path = folder.at(`${name}.img`);
    make(path, tree);
    using source = FileSource.open(path);
    const { root } = open(source);
    const has = (what: Kind['keeps'][number]): boolean => keeps.includes(what);
    if (has('huge')) expectHuge(childOf(childOf(root, 'special'), 'huge'));
    // Digests of all: `huge` would take its time.
    const found = contentsOf(factsOfNode(root, '', new Map(), (at) => at === 'special/huge' || at === 'lost+found'));
    expect(found.size).toBe([...wanted.keys()].filter((at) => holds.test(at)).length);
    expect([...found].filter(([at, facts]) => wanted.get(at) !== facts)).toEqual([]);
    for (let index = 0; has('links') && index < LINKED_FILES; index += 7) {
      const special = childOf(root, 'special');
      expect(childOf(special, `linked-${index}`).links).toBe(2);
      expect(attributesAt(special, `linked-${index}`)).toEqual(attributesOfLinked(index));
    }
    runTool(['rm', path]);
  });
});

function childOf(node: FileNode, name: string): FileNode {
  const child = node.lookup(name);
  if (child === undefined) throw new Error(`there is no ${name}`);
  return child;
}

/** What has data is read, the rest passed over. */
function expectHuge(file: FileNode): void {
  const contents = file.open();
  for (const { at, bytes } of HUGE_DATA) {
    expect(Buffer.from(contents.read(at, bytes)).equals(textOf(at, bytes))).toBe(true);
  }
  expect(contents.read(2 ** 30, 4096).every((byte) => byte === 0)).toBe(true);
}
