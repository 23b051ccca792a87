// Deleted files of ext: by debugfs, which leaves the inode as it was, and by a kernel, which leaves copies in the journal.
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { missingTools, runTool, TemporaryFolder } from '../../../testing/tools.ts';
import { FileSource } from '../../node/file-source.ts';
import { openExt } from './ext.ts';

const MISSING = missingTools('mke2fs', 'debugfs', 'mount', 'unshare');
const SECRET = randomBytes(300_000);

const LIFE =
  'mkdir "$0.mnt"; mount -o loop,commit=300 "$0" "$0.mnt"; cp "$1" "$0.mnt/secret.key"; sync "$0.mnt/secret.key"; ' +
  'rm "$0.mnt/secret.key"; touch "$0.mnt/other"; sync "$0.mnt/other"; umount "$0.mnt"';

describe.skipIf(MISSING !== '')(`deletedFiles() of ext${MISSING}`, () => {
  const folder = new TemporaryFolder();
  const secret = folder.at('secret.key');
  writeFileSync(secret, SECRET);
  mkdirSync(folder.at('tree'));
  writeFileSync(folder.at('tree', 'secret.key'), SECRET);
  writeFileSync(folder.at('tree', 'kept'), randomBytes(50_000));
  afterAll(() => folder[Symbol.dispose]());

  test.each([
    ['ext2', ['-t', 'ext2', '-b', '1024']],
    ['ext4', ['-t', 'ext4', '-b', '1024']],
  ])('an inode without a name is read as it was, and says what was overwritten: %s', (_, options) => {
    const path = folder.at(`debugfs-${options[1]}`);
    runTool(['mke2fs', '-q', '-F', '-d', folder.at('tree'), ...options, path, '8M']);
    {
      using before = FileSource.open(path);
      expect([...(openExt(before).deletedFiles?.() ?? [])]).toEqual([]);
    }
    runTool(['debugfs', '-w', '-R', 'rm secret.key', path]);
    using source = FileSource.open(path);
    const files = [...(openExt(source).deletedFiles?.() ?? [])];
    expect(files.map(({ overwrittenBlocks }) => overwrittenBlocks)).toEqual([0]);
    expect(SECRET.equals(files[0]?.node.open().read(0, SECRET.length) ?? Buffer.alloc(0))).toBe(true);
  });

  test('a file that a kernel deleted is read by the journal’s copies, with its name', () => {
    const path = folder.at('kernel');
    runTool(['mke2fs', '-q', '-F', '-t', 'ext4', '-b', '1024', path, '16M']);
    runTool(['unshare', '-m', 'sh', '-ec', LIFE, path, secret]);
    using source = FileSource.open(path);
    const found = [...(openExt(source).deletedFiles?.() ?? [])].find(({ name }) => name === 'secret.key');
    expect(found?.overwrittenBlocks).toBe(0);
    expect(SECRET.equals(found?.node.open().read(0, SECRET.length) ?? Buffer.alloc(0))).toBe(true);
  });
});
