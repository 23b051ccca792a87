import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { unlockImage } from '../../encryption/unlock-image.ts';
import type { DiskImage } from '../disk-image.ts';
import {
  dataRuns,
  differenceFromQemu,
  NEEDS_QEMU_IMG,
  openIn,
  qemuReads,
  readAll,
  workshop,
} from '../../../testing/qemu-img.ts';
import { DISK_BYTES, patternedDisk } from '../../../testing/patterned-disk.ts';

describe.skipIf(NEEDS_QEMU_IMG !== '')(`openImage() of QCOW2 made by qemu-img${NEEDS_QEMU_IMG}`, () => {
  test.each([
    ['-o compat=0.10'],
    ['-o compat=1.1'],
    ['-o cluster_size=512'],
    ['-o cluster_size=4k'],
    ['-o cluster_size=2M'],
    ['-o lazy_refcounts=on'],
    ['-o refcount_bits=1'],
    ['-o refcount_bits=64'],
    ['-o extended_l2=on'],
    ['-o extended_l2=on,cluster_size=16k'],
    ['-o extended_l2=on,cluster_size=2M'],
    ['-o preallocation=metadata'],
    ['-o preallocation=full'],
    ['-c -o compat=0.10'],
    ['-c -o compat=1.1'],
    ['-c -o compression_type=zstd'],
    ['-c -o compression_type=zstd,cluster_size=4k'],
    ['-c -o cluster_size=512'],
    ['-c -o cluster_size=2M'],
    ['-c -o extended_l2=on'],
  ])('reads what convert %s makes as QEMU does', (options) => {
    const shop = workshop();
    writeFileSync(shop.path('disk.raw'), patternedDisk());
    shop.qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...options.split(' '), 'disk.raw', 'disk.qcow2');
    expect(
      differenceFromQemu(shop, 'disk.qcow2', 'qcow2', options === '-o preallocation=metadata' ? 'more' : 'same'),
    ).toBeUndefined();
    expect(readAll(openIn(shop, 'disk.qcow2')).equals(patternedDisk())).toBe(true);
  });

  test.each([[''], ['extended_l2=on'], ['cluster_size=4k'], ['compat=0.10']])(
    'reads what was written, zeroed and discarded later (%s)',
    (options) => {
      const shop = workshop();
      shop.qemuImg('create', '-f', 'qcow2', ...(options === '' ? [] : ['-o', options]), 'disk.qcow2', `${DISK_BYTES}`);
      shop.qemuIo(
        'disk.qcow2',
        'qcow2',
        ...['write -P 1 8M 300k', 'write -P 2 1M 3M', 'write -P 3 2k 2k', 'write -z 2M 200k', 'discard 1M 128k'],
        ...['write -P 4 2100k 1k', 'write -z -u 3M 512k', `write -P 5 ${DISK_BYTES - 512} 512`, 'write -P 6 70k 1k'],
      );
      expect(differenceFromQemu(shop, 'disk.qcow2', 'qcow2')).toBeUndefined();
    },
  );

  test.each([['raw'], ['qcow2']])('reads a chain upon %s, shorter images below longer ones', (format) => {
    const shop = workshop();
    writeFileSync(shop.path('disk.raw'), patternedDisk());
    shop.qemuImg('convert', '-f', 'raw', '-O', format, 'disk.raw', 'base.img');
    shop.qemuImg('create', '-f', 'qcow2', '-b', 'base.img', '-F', format, 'middle.qcow2');
    shop.qemuIo('middle.qcow2', 'qcow2', 'write -P 0x11 1M 100k', 'write -z 3M 1M', 'write -P 0x12 5000k 3k');
    shop.qemuImg(
      'create',
      '-f',
      'qcow2',
      '-o',
      'extended_l2=on',
      '-b',
      'middle.qcow2',
      '-F',
      'qcow2',
      'top.qcow2',
      '16M',
    );
    shop.qemuIo('top.qcow2', 'qcow2', 'write -P 0x21 1100k 2k', 'write -P 0x22 9M 64k', 'write -z 6M 4k');
    expect(differenceFromQemu(shop, 'top.qcow2', 'qcow2', format === 'raw' ? 'more' : 'same')).toBeUndefined();
    const image = openIn(shop, 'top.qcow2');
    expect(image.references).toMatchObject([{ kind: 'backing', name: 'middle.qcow2', format: 'qcow2' }]);
  });

  test('reads the image and each of its snapshots', () => {
    const shop = workshop();
    writeFileSync(shop.path('disk.raw'), patternedDisk());
    shop.qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'disk.raw', 'disk.qcow2');
    shop.qemuImg('snapshot', '-c', 'before', 'disk.qcow2');
    shop.qemuIo('disk.qcow2', 'qcow2', 'write -P 0x11 1M 100k', 'write -z 3M 1M');
    shop.qemuImg('snapshot', '-c', 'between', 'disk.qcow2');
    shop.qemuImg('resize', '-f', 'qcow2', 'disk.qcow2', '20M');
    shop.qemuIo('disk.qcow2', 'qcow2', 'write -P 0x12 1M 100k', 'write -P 0x13 18M 1M');
    const image = openIn(shop, 'disk.qcow2');
    expect(image.snapshots.map(({ name, virtualSize }) => [name, virtualSize])).toEqual([
      ['before', DISK_BYTES],
      ['between', DISK_BYTES],
    ]);
    expect(differenceFromQemu(shop, 'disk.qcow2', 'qcow2')).toBeUndefined();
    for (const { id, name } of image.snapshots) {
      const theirs = qemuReads(shop, 'disk.qcow2', 'qcow2', '-l', `snapshot.name=${name}`);
      // QEMU gives the snapshot the size that the disk has now.
      expect(readAll(image.openSnapshot(id)).equals(theirs.subarray(0, DISK_BYTES))).toBe(true);
    }
  });

  test.each([['off'], ['on']])('reads from an external data file (data_file_raw=%s)', (raw) => {
    const shop = workshop();
    shop.qemuImg(
      'create',
      '-f',
      'qcow2',
      '-o',
      `data_file=disk.data,data_file_raw=${raw}`,
      'disk.qcow2',
      `${DISK_BYTES}`,
    );
    shop.qemuIo('disk.qcow2', 'qcow2', 'write -P 7 0 100k', 'write -P 8 3M 1M');
    const image = openIn(shop, 'disk.qcow2');
    expect(image.references).toMatchObject([{ kind: 'data-file', name: 'disk.data' }]);
    expect(differenceFromQemu(shop, 'disk.qcow2', 'qcow2')).toBeUndefined();
  });

  test('shows the LUKS header of an encrypted image, and reads nothing without a key', () => {
    const shop = workshop();
    const secret = ['--object', 'secret,id=key,data=correct-horse'];
    const options = 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10';
    shop.qemuImg('create', ...secret, '-f', 'qcow2', '-o', options, 'disk.qcow2', `${DISK_BYTES}`);
    const image = openIn(shop, 'disk.qcow2');
    expect(image.encryption?.method).toBe('luks');
    expect(Buffer.from(image.encryption?.header?.read(0, 6) ?? [])).toEqual(Buffer.from('LUKS\xba\xbe', 'latin1'));
    expect(dataRuns(image)).toEqual([]);
  });

  test('reads an encrypted image with its passphrase as QEMU does', () => {
    const shop = workshop();
    const secret = ['--object', 'secret,id=key,data=correct-horse'];
    const disk = patternedDisk(3 * 2 ** 20 + 512);
    writeFileSync(shop.path('disk.raw'), disk);
    const options = 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10,cluster_size=4k';
    shop.qemuImg('convert', ...secret, '-f', 'raw', '-O', 'qcow2', '-o', options, 'disk.raw', 'disk.qcow2');
    const openWith = (...words: readonly string[]): DiskImage =>
      openIn(shop, 'disk.qcow2', {
        unlock: (encryption) =>
          unlockImage(
            encryption,
            words.map((word) => ({ passphrase: new TextEncoder().encode(word) })),
          ),
      });
    expect(readAll(openWith('wrong', 'correct-horse'), 100_001).equals(disk)).toBe(true);
    expect(openWith('wrong').locked).toBe(true);
    expect(() => readAll(openIn(shop, 'disk.qcow2'))).toThrow(/is encrypted \(luks\), and no key was given/);
  });
});
