// Journals of a real kernel: a mounted file system is copied in the middle of its life, and read as e2fsck recovers it.
import { copyFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingTools, runTool, TemporaryFolder } from '../../../../testing/tools.ts';
import { factsOfNode } from '../../../../testing/trees.ts';
import { FileSource } from '../../../node/file-source.ts';
import { openExt } from '../ext.ts';

const MISSING = missingTools('mke2fs', 'e2fsck', 'mount', 'unshare');

/** Makes, changes and removes files, and commits without writing anything back (fsync, not syncfs), so that the log has copies, newer copies and revocations; then copies the image. */
const LIFE = `set -e
image=$1 copy=$2 options=$3
mnt=$copy.mnt
mkdir -p "$mnt"
mount -o "loop,$options" "$image" "$mnt"
mkdir "$mnt/kept" "$mnt/gone"
for i in $(seq 1 120); do echo "content $i" > "$mnt/kept/file-$i"; echo x > "$mnt/gone/a-name-that-takes-some-room-$i"; done
sync "$mnt/kept/file-1"
rm -r "$mnt/gone"
ln -s kept "$mnt/link"
sync "$mnt/kept/file-1"
for i in 1 2 3 4; do head -c 200000 /dev/urandom > "$mnt/data-$i"; done
for i in $(seq 1 120); do echo "changed $i" > "$mnt/kept/file-$i"; done
sync "$mnt"/data-* "$mnt/kept/file-1"
rm "$mnt"/kept/file-1?
mv "$mnt/kept/file-20" "$mnt/moved"
sync "$mnt/moved"
cp --sparse=always "$image" "$copy"
umount "$mnt"
rmdir "$mnt"
`;

function canMount(folder: TemporaryFolder): boolean {
  try {
    const path = folder.at('probe');
    runTool(['mke2fs', '-q', '-F', path, '1M']);
    runTool(['unshare', '-m', 'sh', '-c', 'mkdir "$0.mnt" && mount -o loop "$0" "$0.mnt" && umount "$0.mnt"', path]);
    return true;
  } catch {
    return false;
  }
}

const folder = new TemporaryFolder();
const LACKING = MISSING === '' && !canMount(folder) ? ' (skipped: needs loop mounts)' : MISSING;

describe.skipIf(LACKING !== '')(`a file system that was not unmounted${LACKING}`, () => {
  const script = folder.at('life.sh');
  beforeAll(() => writeFileSync(script, LIFE));
  afterAll(() => folder[Symbol.dispose]());

  function dirtyImage(make: readonly string[], mountOptions: string): string {
    const image = folder.at('image');
    const copy = folder.at('copy');
    runTool(['rm', '-f', image, copy]);
    runTool(['mke2fs', '-q', '-F', ...make, image, '24M']);
    runTool(['unshare', '-m', 'sh', script, image, copy, mountOptions]);
    return copy;
  }

  test.each([
    ['checksums of version 3', ['-t', 'ext4', '-O', 'metadata_csum,64bit'], 'commit=300'],
    ['checksums of version 3 in 32 bits', ['-t', 'ext4', '-O', 'metadata_csum,^64bit'], 'commit=300'],
    ['no checksums', ['-t', 'ext4', '-O', '^metadata_csum,^64bit'], 'commit=300'],
    ['checksums over transactions', ['-t', 'ext4', '-O', '^metadata_csum'], 'commit=300,journal_checksum'],
    ['asynchronous commits', ['-t', 'ext4', '-O', '^metadata_csum'], 'commit=300,data=writeback,journal_async_commit'],
    ['data in the journal', ['-t', 'ext4', '-b', '4096', '-J', 'size=8'], 'commit=300,data=journal'],
    ['ext3', ['-t', 'ext3'], 'commit=300'],
  ])('is read as e2fsck recovers it: %s', (_, make, mountOptions) => {
    const path = dirtyImage(make, mountOptions);
    const recovered = folder.at('recovered');
    copyFileSync(path, recovered);
    runTool(['sh', '-c', 'e2fsck -fy "$0" || test $? -eq 1', recovered]);
    using source = FileSource.open(path);
    using expected = FileSource.open(recovered);
    const system = openExt(source);
    expect(system.notes?.[0]).toMatch(/replayed in memory: [1-9]\d* transactions/);
    const facts = factsOfNode(system.root);
    expect(facts.size).toBeGreaterThan(100);
    expect(facts.has('moved')).toBe(true);
    expect(facts.has('gone')).toBe(false);
    expect(facts).toEqual(factsOfNode(openExt(expected).root));
    expect(openExt(expected).notes).toEqual([]);
  });
});
