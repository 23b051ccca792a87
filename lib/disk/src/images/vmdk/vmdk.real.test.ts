import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { differenceFromQemu, NEEDS_QEMU_IMG, openIn, readAll, workshop } from '../../../testing/qemu-img.ts';
import { DISK_BYTES, patternedDisk } from '../../../testing/patterned-disk.ts';

describe.skipIf(NEEDS_QEMU_IMG !== '')(`openImage() of VMDK made by qemu-img${NEEDS_QEMU_IMG}`, () => {
  test.each([
    ['subformat=monolithicSparse', []],
    ['subformat=monolithicSparse,zeroed_grain=on', []],
    ['subformat=monolithicSparse,compat6=on', []],
    ['subformat=streamOptimized', []],
    ['subformat=monolithicFlat', ['extent']],
    ['subformat=twoGbMaxExtentSparse', ['extent']],
    ['subformat=twoGbMaxExtentFlat', ['extent']],
  ])('reads what convert -o %s makes as QEMU does', (options, kinds) => {
    const shop = workshop();
    writeFileSync(shop.path('disk.raw'), patternedDisk());
    shop.qemuImg('convert', '-f', 'raw', '-O', 'vmdk', '-o', options, 'disk.raw', 'disk.vmdk');
    const image = openIn(shop, 'disk.vmdk');
    expect(image.format).toBe('vmdk');
    expect(image.references.map(({ kind }) => kind)).toEqual(kinds);
    expect(readAll(image).equals(patternedDisk())).toBe(true);
    expect(differenceFromQemu(shop, 'disk.vmdk', 'vmdk', 'more')).toBeUndefined();
  });

  test('reads a disk in several extents', () => {
    const shop = workshop();
    shop.qemuImg('create', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', 'disk.vmdk', '4100M');
    shop.qemuIo('disk.vmdk', 'vmdk', 'write -P 1 1M 64k', 'write -P 2 2047M 2M', 'write -P 3 4099M 1M');
    const image = openIn(shop, 'disk.vmdk');
    expect(image.references).toHaveLength(3);
    const MIB = 2 ** 20;
    for (const [at, value] of [
      [MIB, 1],
      [2047 * MIB, 2],
      [2048 * MIB, 2],
      [4100 * MIB - 4, 3],
    ] as const) {
      expect([...image.read(at, 4)]).toEqual([value, value, value, value]);
    }
    expect(image.nextData(3 * MIB)?.offset).toBe(2047 * MIB);
  });

  test('reads what was written, zeroed and left later', () => {
    const shop = workshop();
    shop.qemuImg('create', '-f', 'vmdk', '-o', 'zeroed_grain=on', 'disk.vmdk', `${DISK_BYTES}`);
    shop.qemuIo(
      'disk.vmdk',
      'vmdk',
      'write -P 1 8M 300k',
      'write -P 2 1M 3M',
      'write -z 2M 512k',
      'write -P 3 512 512',
    );
    expect(differenceFromQemu(shop, 'disk.vmdk', 'vmdk', 'more')).toBeUndefined();
  });

  test('reads a chain of snapshots, and refuses a parent that was changed since', () => {
    const shop = workshop();
    writeFileSync(shop.path('disk.raw'), patternedDisk());
    shop.qemuImg('convert', '-f', 'raw', '-O', 'vmdk', 'disk.raw', 'base.vmdk');
    shop.qemuImg('create', '-f', 'vmdk', '-b', 'base.vmdk', '-F', 'vmdk', 'top.vmdk');
    shop.qemuIo('top.vmdk', 'vmdk', 'write -P 9 1M 100k', 'write -P 8 5000k 3k');
    expect(openIn(shop, 'top.vmdk').references).toMatchObject([{ kind: 'parent', name: 'base.vmdk' }]);
    expect(differenceFromQemu(shop, 'top.vmdk', 'vmdk', 'more')).toBeUndefined();
    const base = readFileSync(shop.path('base.vmdk'), 'latin1');
    writeFileSync(shop.path('base.vmdk'), base.replace(/^CID=.{4}/m, 'CID=0bad'), 'latin1');
    expect(() => openIn(shop, 'top.vmdk')).toThrow(/parentCID says .*, but the parent that was given has 0bad/);
  });
});
