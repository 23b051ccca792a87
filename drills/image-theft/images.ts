// One small disk as an image of every format that `disk import` reads, made by QEMU's own tool; an OVA is packed by tar.
import { closeSync, openSync, renameSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';

const QEMU_IMG = '/usr/bin/qemu-img';
const TAR = '/usr/bin/tar';
const DISK_BYTES = 8 * 1024 * 1024;
const CANARY_AT = 3 * 1024 * 1024;
/** In the OVA. */
const PACKED_DISK = 'disk.vmdk';

export interface PlainImage {
  readonly name: string;
  /** As qemu-img calls it. */
  readonly format: string;
  readonly path: string;
  /** Its contents lie in files beside it, which it names. */
  readonly hasParts: boolean;
}

/** How qemu-img makes each. */
const KINDS: readonly { readonly name: string; readonly format: string; readonly how: readonly string[] }[] = [
  { name: 'raw', format: 'raw', how: [] },
  { name: 'QCOW2, version 2', format: 'qcow2', how: ['-o', 'compat=0.10'] },
  { name: 'QCOW2, version 3', format: 'qcow2', how: ['-o', 'compat=1.1'] },
  { name: 'QCOW2, compressed with zlib', format: 'qcow2', how: ['-c'] },
  { name: 'QCOW2, compressed with zstd', format: 'qcow2', how: ['-c', '-o', 'compression_type=zstd'] },
  { name: 'QCOW2 with sub-clusters', format: 'qcow2', how: ['-o', 'extended_l2=on'] },
  { name: 'QED', format: 'qed', how: [] },
  { name: 'VMDK, sparse', format: 'vmdk', how: ['-o', 'subformat=monolithicSparse'] },
  { name: 'VMDK, stream-optimised', format: 'vmdk', how: ['-o', 'subformat=streamOptimized'] },
  { name: 'VMDK, flat', format: 'vmdk', how: ['-o', 'subformat=monolithicFlat'] },
  { name: 'VMDK, split', format: 'vmdk', how: ['-o', 'subformat=twoGbMaxExtentSparse'] },
  { name: 'VHD, fixed', format: 'vpc', how: ['-o', 'subformat=fixed'] },
  { name: 'VHD, dynamic', format: 'vpc', how: ['-o', 'subformat=dynamic'] },
  { name: 'VHDX', format: 'vhdx', how: [] },
  { name: 'VDI, fixed', format: 'vdi', how: ['-o', 'static=on'] },
  { name: 'VDI, dynamic', format: 'vdi', how: [] },
  { name: 'OVA', format: 'ova', how: ['-o', 'subformat=streamOptimized'] },
];

export async function makeImages(directory: string, canary: string): Promise<PlainImage[]> {
  const raw = join(directory, 'disk.raw');
  writeFileSync(raw, '');
  truncateSync(raw, DISK_BYTES);
  const file = openSync(raw, 'r+');
  writeSync(file, canary, CANARY_AT);
  closeSync(file);
  return Promise.all(
    KINDS.map(async ({ name, format, how }, index) => {
      const path = join(directory, `image-${index}.${format}`);
      const hasParts = /flat|split/.test(name);
      if (format === 'ova') await makeAppliance(raw, path, how);
      else await convert(raw, path, '-f', 'raw', '-O', format, ...how);
      return { name, format, path, hasParts };
    }),
  );
}

/** What a thief makes of it: the path of the disk in clear. */
export async function readPlain({ format, path }: PlainImage): Promise<string> {
  const plain = `${path}.plain`;
  if (format !== 'ova') {
    await convert(path, plain, '-f', format, '-O', 'raw');
    return plain;
  }
  await runChecked(run, [TAR, '-C', dirname(path), '-xf', path, PACKED_DISK]);
  await convert(join(dirname(path), PACKED_DISK), plain, '-f', 'vmdk', '-O', 'raw');
  return plain;
}

async function convert(from: string, to: string, ...how: readonly string[]): Promise<void> {
  await runChecked(run, [QEMU_IMG, 'convert', '-q', ...how, from, to]);
}

/** As VirtualBox and VMware export a machine: the descriptor first, then its disk. */
async function makeAppliance(raw: string, path: string, how: readonly string[]): Promise<void> {
  const directory = dirname(path);
  const descriptor = `${basename(path, '.ova')}.ovf`;
  await convert(raw, join(directory, PACKED_DISK), '-f', 'raw', '-O', 'vmdk', ...how);
  writeFileSync(join(directory, descriptor), OVF);
  const files = [descriptor, PACKED_DISK];
  await runChecked(run, [TAR, '--format=ustar', '-C', directory, '-cf', path, ...files]);
  renameSync(join(directory, PACKED_DISK), `${path}.made-of`);
}

/** DMTF DSP0243, with what an importer needs. */
const OVF = `<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:id="file1" ovf:href="${PACKED_DISK}"/></References>
  <DiskSection>
    <Info>The disk</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="${DISK_BYTES}"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
</Envelope>
`;
