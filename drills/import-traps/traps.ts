// Images that ask for a file of the host where their own contents should be: what each asks for is written by hand or by
// qemu-img, as whoever wants that file would do.
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';

export const QEMU_IMG = '/usr/bin/qemu-img';
const SECTOR_BYTES = 512;

export interface Trap {
  /** What it asks by. */
  readonly field: string;
  readonly format: 'qcow2' | 'vmdk';
  readonly path: string;
}

/** `secret`: a file of the host of `sectors` sectors. */
export async function setTraps(directory: string, secret: string, sectors: number): Promise<Trap[]> {
  const bytes = String(sectors * SECTOR_BYTES);
  const at = (name: string): string => join(directory, name);
  const create = async (...args: readonly string[]): Promise<void> => {
    await runChecked(run, [QEMU_IMG, 'create', '-q', '-f', 'qcow2', ...args]);
  };
  await create('-b', secret, '-F', 'raw', at('backing.qcow2'));
  // qemu-img empties the file that it is told of: the secret takes its place again.
  renameSync(secret, `${secret}.kept`);
  const settings = `data_file=${secret},data_file_raw=on,preallocation=metadata`;
  await create('-o', settings, at('data-file.qcow2'), bytes);
  renameSync(`${secret}.kept`, secret);
  writeFileSync(at('extent.vmdk'), descriptorOf(secret, sectors));
  return [
    { field: 'backing file', format: 'qcow2', path: at('backing.qcow2') },
    { field: 'external data file', format: 'qcow2', path: at('data-file.qcow2') },
    { field: 'extent', format: 'vmdk', path: at('extent.vmdk') },
  ];
}

/** VMware's Virtual Disk Format 5.0, "The Disk Descriptor File". */
function descriptorOf(extent: string, sectors: number): string {
  return [
    '# Disk DescriptorFile',
    'version=1',
    'CID=fffffffe',
    'parentCID=ffffffff',
    'createType="monolithicFlat"',
    `RW ${sectors} FLAT "${extent}" 0`,
    'ddb.adapterType = "ide"',
    'ddb.geometry.cylinders = "1"',
    'ddb.geometry.heads = "16"',
    'ddb.geometry.sectors = "63"',
    '',
  ].join('\n');
}
