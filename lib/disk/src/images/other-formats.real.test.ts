// QED, VDI, VHD and VHDX as qemu-img makes them.
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { differenceFromQemu, NEEDS_QEMU_IMG, openIn, workshop } from '../../testing/qemu-img.ts';
import { DISK_BYTES, patternedDisk } from '../../testing/patterned-disk.ts';

/** QEMU's name of the format, ours, and how convert makes it. */
const MADE = [
  ['qed', 'qed', ''],
  ['qed', 'qed', 'cluster_size=16k,table_size=2'],
  ['qed', 'qed', 'cluster_size=1M,table_size=16'],
  ['vdi', 'vdi', ''],
  ['vdi', 'vdi', 'static=on'],
  ['vpc', 'vhd', 'subformat=dynamic'],
  ['vpc', 'vhd', 'subformat=fixed'],
  ['vpc', 'vhd', 'subformat=dynamic,force_size=on'],
  ['vpc', 'vhd', 'subformat=fixed,force_size=on'],
  ['vhdx', 'vhdx', 'subformat=dynamic'],
  ['vhdx', 'vhdx', 'subformat=fixed'],
  ['vhdx', 'vhdx', 'subformat=dynamic,block_size=8M,block_state_zero=off'],
  ['vhdx', 'vhdx', 'subformat=dynamic,block_size=1M,log_size=2M'],
] as const;

describe.skipIf(NEEDS_QEMU_IMG !== '')(`openImage() of what qemu-img makes${NEEDS_QEMU_IMG}`, () => {
  test.each(MADE)('reads %s (%s) made with %j as QEMU does', (driver, format, options) => {
    const shop = workshop();
    writeFileSync(shop.path('disk.raw'), patternedDisk());
    const flags = options === '' ? [] : ['-o', options];
    shop.qemuImg('convert', '-f', 'raw', '-O', driver, ...flags, 'disk.raw', 'disk.img');
    expect(openIn(shop, 'disk.img').format).toBe(format);
    expect(differenceFromQemu(shop, 'disk.img', driver, 'more')).toBeUndefined();
  });

  test.each([
    ['qed', ''],
    ['vdi', ''],
    ['vpc', 'subformat=dynamic'],
    ['vhdx', 'subformat=dynamic,block_size=1M'],
  ])('reads what was written into %s later, here and there', (driver, options) => {
    const shop = workshop();
    const flags = options === '' ? [] : ['-o', options];
    shop.qemuImg('create', '-f', driver, ...flags, 'disk.img', `${DISK_BYTES - (DISK_BYTES % 4096)}`);
    shop.qemuIo('disk.img', driver, 'write -P 1 8M 300k', 'write -P 2 1M 3M', 'write -P 3 4k 4k', 'write -P 4 6M 512');
    expect(differenceFromQemu(shop, 'disk.img', driver, driver === 'vhdx' ? 'any' : 'more')).toBeUndefined();
  });

  test.each([['raw'], ['qed']])('reads a QED upon %s', (format) => {
    const shop = workshop();
    writeFileSync(shop.path('disk.raw'), patternedDisk());
    shop.qemuImg('convert', '-f', 'raw', '-O', format, 'disk.raw', 'base.img');
    shop.qemuImg('create', '-f', 'qed', '-b', 'base.img', '-F', format, 'top.qed');
    shop.qemuIo('top.qed', 'qed', 'write -P 1 1M 100k', 'write -z 3M 1M');
    expect(openIn(shop, 'top.qed').references).toMatchObject([{ kind: 'backing', name: 'base.img' }]);
    expect(differenceFromQemu(shop, 'top.qed', 'qed', 'more')).toBeUndefined();
  });
});
