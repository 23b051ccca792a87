// Makes the small images in lib/disk/fixtures with the real tools, compressed because they are mostly zeros:
//   node --conditions=ringwall-source lib/disk/testing/make-fixtures.ts
// They are for what must be decided in milliseconds and without tools: headers that lie, truncations, mutations.
import { mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { FIXTURES } from './fixtures.ts';
import { runTool, TemporaryFolder } from './tools.ts';
import { textOf } from './trees.ts';
import { xfsPrototype } from './xfs-prototype.ts';

const WHEN = 1_700_000_000;

function makeSmallTree(root: string): void {
  mkdirSync(join(root, 'etc', 'deep', 'er'), { recursive: true });
  writeFileSync(join(root, 'etc', 'shadow'), 'root:$y$j9T$salt$hash:19000:0:99999:7:::\n');
  writeFileSync(join(root, 'etc', 'deep', 'er', 'A long name with ünïcödé.txt'), 'deep');
  writeFileSync(join(root, 'large.txt'), textOf(1, 20_000));
  writeFileSync(join(root, 'zeros'), Buffer.alloc(9000));
  mkdirSync(join(root, 'many'));
  for (let index = 0; index < 40; index += 1) writeFileSync(join(root, 'many', `file-${index}`), `number ${index}`);
}

/** Unix alone. */
function addUnix(root: string): void {
  symlinkSync('etc/shadow', join(root, 'link'));
  symlinkSync('../../..', join(root, 'etc', 'deep', 'up'));
  runTool(['mknod', join(root, 'null'), 'c', '1', '3']);
  runTool(['setfattr', '-n', 'user.note', '-v', 'a note', join(root, 'etc', 'shadow')]);
}

function save(name: string, path: string): void {
  writeFileSync(join(FIXTURES, `${name}.gz`), gzipSync(readFileSync(path), { level: 9 }));
}

using folder = new TemporaryFolder();
const plain = folder.at('plain');
const unix = folder.at('unix');
mkdirSync(plain);
mkdirSync(unix);
makeSmallTree(plain);
makeSmallTree(unix);
addUnix(unix);
runTool(['find', plain, unix, '-exec', 'touch', '--no-dereference', '--date', `@${WHEN}`, '{}', '+']);
utimesSync(unix, WHEN, WHEN);

for (const [name, options] of [
  ['squashfs', []],
  ['squashfs-stored', ['-noI', '-noD', '-noF', '-noX']],
] as const) {
  const path = folder.at(name);
  const common = ['-quiet', '-no-progress', '-b', '4096', '-mkfs-time', String(WHEN), '-nopad'];
  runTool(['mksquashfs', unix, path, ...common, ...options]);
  save(name, path);
}

for (const [name, options] of [
  ['erofs', ['-T', String(WHEN)]],
  ['erofs-lz4', ['-z', 'lz4']],
  ['erofs-lz4-legacy', ['-z', 'lz4', '-E', 'legacy-compress']],
  ['erofs-chunked', ['--chunksize=4096', '-E', 'force-chunk-indexes']],
] as const) {
  const path = folder.at(name);
  runTool(['mkfs.erofs', '-U', '12345678-9abc-def0-1234-56789abcdef0', ...options, path, unix]);
  save(name, path);
}

// Enough names for an index of blocks of 1,024 bytes.
mkdirSync(join(unix, 'crowd'));
for (let index = 0; index < 60; index += 1) writeFileSync(join(unix, 'crowd', `one-of-many-files-${index}`), '');
runTool(['find', join(unix, 'crowd'), '-exec', 'touch', '--date', `@${WHEN}`, '{}', '+']);

for (const [name, options] of [
  ['ext2', ['-t', 'ext2']],
  ['ext4', ['-t', 'ext4', '-O', '^has_journal,metadata_csum,64bit']],
  ['ext4-unchecked', ['-t', 'ext4', '-O', '^has_journal,^metadata_csum,^uninit_bg,inline_data', '-I', '256']],
] as const) {
  const path = folder.at(name);
  const seeds = ['-U', '12345678-9abc-4ef0-8234-56789abcdef0', '-E', 'hash_seed=12345678-9abc-4ef0-8234-56789abcdef0'];
  runTool(['mke2fs', '-q', '-b', '1024', '-N', '128', ...seeds, ...options, '-d', unix, path, '256k']);
  // Indexes the directories; ends with 1 because it changed them.
  runTool(['sh', '-c', 'e2fsck -fyD "$0" || test $? -eq 1', path]);
  save(name, path);
}

for (const [name, bytes, options] of [
  ['fat12', 512 * 1024, ['-F', '12', '-s', '1']],
  ['fat16', 3 * 1024 * 1024, ['-F', '16', '-s', '1']],
] as const) {
  const path = folder.at(name);
  writeFileSync(path, Buffer.alloc(bytes));
  runTool(['mkfs.vfat', '-i', '1234abcd', '-n', 'SMALL', '--invariant', ...options, path]);
  const deleted = join(plain, 'deleted secret.key');
  writeFileSync(deleted, 'a secret that was deleted');
  const files = ['etc', 'many', 'large.txt', 'zeros'].map((file) => join(plain, file));
  runTool(['mcopy', '-i', path, '-s', '-m', deleted, ...files, '::']);
  runTool(['mdel', '-i', path, '::deleted secret.key']);
  rmSync(deleted);
  save(name, path);
}

{
  const path = folder.at('ntfs');
  writeFileSync(path, Buffer.alloc(3 * 1024 * 1024));
  runTool(['mkntfs', '-F', '-Q', '-q', '-L', 'SMALL', path]);
  const steps = [
    'mkdir "$1"; ntfs-3g -o compression,streams_interface=xattr "$0" "$1"; cd "$1"',
    'mkdir packed && setfattr -n system.ntfs_attrib -v 0x00080000 packed',
    'cp -r "$2"/. . && mv large.txt packed/moved && cp packed/moved packed/large.txt && rm packed/moved',
    'ln -s etc/shadow link; setfattr -n user.note -v "a note" etc/shadow',
    'echo "a secret that was deleted" > "deleted secret.key"; sync; rm "deleted secret.key"',
    'cd /; umount "$1"',
  ];
  runTool(['unshare', '-m', 'sh', '-ec', steps.join('\n'), path, folder.at('mount'), plain]);
  save('ntfs', path);
}

// A file system copied while it is mounted: what was written since is in its journal only. Needs root.
const DIRTY = `set -e
mkdir "$0.mnt"
mount -o loop,commit=300 "$0" "$0.mnt"
mkdir "$0.mnt/late"
for i in $(seq 1 60); do echo "late $i" > "$0.mnt/late/file-$i"; done
sync "$0.mnt/late/file-60"
rm "$0.mnt"/late/file-1?
echo again >> "$0.mnt/late/file-20"
sync "$0.mnt/late/file-20"
cp "$0" "$0.copy"
umount "$0.mnt"`;
for (const [name, options] of [
  ['ext4-journal', ['-O', '^metadata_csum,^uninit_bg,^resize_inode']],
  ['ext4-journal-checked', ['-O', 'metadata_csum,^resize_inode']],
] as const) {
  const path = folder.at(name);
  runTool(['mke2fs', '-q', '-t', 'ext4', '-b', '1024', '-N', '128', '-J', 'size=1', ...options, path, '4M']);
  runTool(['unshare', '-m', 'sh', '-c', DIRTY, path]);
  save(name, `${path}.copy`);
}

mkdirSync(join(unix, 'etc', 'deep', 'er', 'd4', 'd5', 'd6', 'd7', 'd8'), { recursive: true });
writeFileSync(join(unix, 'etc', 'deep', 'er', 'd4', 'd5', 'd6', 'd7', 'd8', 'bottom'), 'bottom');
for (const [name, from, options] of [
  ['iso9660', unix, ['-compliance', 'deep_paths_off']],
  ['iso9660-joliet', plain, ['-rockridge', 'off', '-joliet', 'on']],
] as const) {
  const path = folder.at(name);
  const boot = ['-boot_image', 'any', 'bin_path=/large.txt', '-boot_image', 'any', 'platform_id=0xef'];
  runTool(['xorriso', '-padding', '0', '-outdev', path, '-volid', 'SMALL', ...options, '-map', from, '/', ...boot]);
  save(name, path);
}

// Two runs of text on a disk of zeros: all structures of each format, in few bytes.
const disk = folder.at('disk.raw');
const text = textOf(2, 100_000);
writeFileSync(disk, Buffer.concat([Buffer.alloc(70_000), Buffer.from(text), Buffer.alloc(200_000), Buffer.from(text)]));
truncateSync(disk, 600 * 1024);
for (const [name, ...options] of [
  ['qcow2', '-O', 'qcow2', '-o', 'cluster_size=4k'],
  ['qcow2-zlib', '-c', '-O', 'qcow2', '-o', 'cluster_size=4k'],
  ['qcow2-zstd', '-c', '-O', 'qcow2', '-o', 'compression_type=zstd'],
  ['qcow2-subclusters', '-O', 'qcow2', '-o', 'extended_l2=on,cluster_size=16k'],
  ['qed', '-O', 'qed', '-o', 'cluster_size=16k'],
  ['vmdk', '-O', 'vmdk'],
  ['vmdk-stream', '-O', 'vmdk', '-o', 'subformat=streamOptimized'],
  ['vdi', '-O', 'vdi'],
  ['vhd', '-O', 'vpc', '-o', 'subformat=dynamic,force_size=on'],
  ['vhdx', '-O', 'vhdx', '-o', 'subformat=dynamic,block_size=1M'],
] as const) {
  const path = folder.at(name);
  runTool(['qemu-img', 'convert', '-f', 'raw', ...options, disk, path]);
  save(`image-${name}`, path);
}
for (const [name, crc] of [
  ['xfs', 'crc=1'],
  ['xfs-4', 'crc=0,finobt=0'],
] as const) {
  const path = folder.at(name);
  writeFileSync(path, Buffer.alloc(16 * 1024 * 1024));
  const prototype = folder.at('prototype');
  writeFileSync(prototype, xfsPrototype(unix));
  // No kernel should be asked to write to one so small, says mkfs.xfs, but it makes it.
  const small = ['--unsupported', '-d', 'agcount=1', '-m', `rmapbt=0,reflink=0,${crc}`];
  runTool(['mkfs.xfs', '-q', '-f', ...small, '-p', prototype, path]);
  save(name, path);
}
