// The import gate as a user meets it: headers written by hand, each refused with its field and value before any service is
// asked, and not a byte of the image altered.
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../testing/harness.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ringwall-gate-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

interface Qcow2 {
  readonly size?: bigint;
  readonly clusterBits?: number;
  readonly backing?: string;
  readonly dataFile?: string;
  readonly crypt?: number;
}

/** docs/interop/qcow2 of QEMU: version 3, one empty L1 table. */
function qcow2({ size = 2n ** 20n, clusterBits = 16, backing, dataFile, crypt = 0 }: Qcow2): Buffer {
  const image = Buffer.alloc(4 * 65_536);
  image.write('QFI\xfb', 'latin1');
  image.writeUInt32BE(3, 4);
  if (backing !== undefined) {
    image.writeBigUInt64BE(1024n, 8);
    image.writeUInt32BE(Buffer.byteLength(backing), 16);
    image.write(backing, 1024);
  }
  image.writeUInt32BE(clusterBits, 20);
  image.writeBigUInt64BE(size, 24);
  image.writeUInt32BE(crypt, 32);
  image.writeUInt32BE(1, 36);
  image.writeBigUInt64BE(65_536n, 40);
  image.writeBigUInt64BE(2n * 65_536n, 48);
  image.writeUInt32BE(1, 56);
  image.writeUInt32BE(4, 96);
  image.writeUInt32BE(104, 100);
  if (dataFile !== undefined) {
    image.writeBigUInt64BE(4n, 72);
    image.writeUInt32BE(0x44415441, 104);
    image.writeUInt32BE(Buffer.byteLength(dataFile), 108);
    image.write(dataFile, 112);
  }
  return image;
}

function vmdk(extent: string): Buffer {
  const lines = ['# Disk DescriptorFile', 'version=1', 'CID=1', 'parentCID=ffffffff', 'createType="monolithicFlat"'];
  return Buffer.from(`${[...lines, extent].join('\n')}\n`);
}

async function refusal(image: Buffer, ...options: string[]): Promise<string> {
  const path = join(dir, 'image');
  writeFileSync(path, image);
  const { code, stdout, stderr } = await runCli(undefined, ['disk', 'import', path, '--name', 'x', ...options]);
  expect([code, stdout]).toEqual([1, '']);
  expect(readFileSync(path).equals(image)).toBe(true);
  return stderr.replaceAll(dir, '');
}

describe('disk import', () => {
  it.each<[string, Buffer, string]>([
    ['a backing file of the host', qcow2({ backing: '/etc/shadow' }), 'backing_file_offset is “/etc/shadow”'],
    ['a path that leads out', qcow2({ backing: '../../etc/shadow' }), 'is “../../etc/shadow”'],
    ['a device', qcow2({ backing: '/dev/sda' }), 'is “/dev/sda”'],
    ['the network', qcow2({ backing: 'nbd://10.0.0.1/x' }), 'is “nbd://10.0.0.1/x”'],
    [
      'a block device of QEMU',
      qcow2({ backing: 'json:{"driver":"host_device"}' }),
      'is “json:{"driver":"host_device"}”',
    ],
    ['a data file of the host', qcow2({ dataFile: '/etc/shadow' }), 'external data file name is “/etc/shadow”'],
    ['an extent of the host', vmdk('RW 128 FLAT "/etc/shadow" 0'), 'extent is “/etc/shadow”'],
    ['an extent that leads out', vmdk('RW 128 FLAT "../x" 0'), 'extent is “../x”'],
    ['an extent that is a device', vmdk('RW 128 FLAT "/dev/sda" 0'), 'extent is “/dev/sda”'],
    ['a disk of more than 64 TiB', qcow2({ size: 2n ** 46n + 512n, clusterBits: 21 }), 'size'],
    ['a disk of 2^63 bytes', qcow2({ size: 2n ** 63n }), 'size'],
    ['a disk of no bytes', Buffer.alloc(0), 'size of the disk is “0”'],
    ['clusters of 2^40 bytes', qcow2({ clusterBits: 40 }), 'cluster_bits 40'],
    ['contents that need a key', qcow2({ crypt: 1 }), 'encryption method is “'],
    ['a header that was cut', qcow2({}).subarray(0, 60), 'at byte'],
  ])('refuses %s', async (_, image, said) => {
    expect(await refusal(image)).toContain(said);
  });

  it('reads a file beside the image only where it is told to, and never through a link', async () => {
    writeFileSync(join(dir, 'base'), Buffer.alloc(2 ** 20));
    expect(await refusal(qcow2({ backing: 'base' }))).toMatch(/is “base”[^]*--alongside/);
    rmSync(join(dir, 'base'));
    symlinkSync('/etc/shadow', join(dir, 'base'));
    expect(await refusal(qcow2({ backing: 'base' }), '--alongside')).toContain('is “base”');
  });

  it('refuses a chain whose second image asks for the host’s files, too', async () => {
    writeFileSync(join(dir, 'base'), qcow2({ backing: '/etc/shadow' }));
    expect(await refusal(qcow2({ backing: 'base' }), '--alongside')).toContain('/etc/shadow');
  });
});
