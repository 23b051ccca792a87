// Volume groups made by LVM itself, on loop devices: which bytes belong to a volume is told by LVM, too.
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingTools, runTool, TemporaryFolder } from '../../../testing/tools.ts';
import { FileSource } from '../../node/file-source.ts';
import { openPath } from '../../filesystems/open-path.ts';
import { openDisk } from '../../open-disk.ts';
import { recogniseLvm } from './lvm-label.ts';
import { readVolumeGroup } from './volume-group.ts';

const MIB = 2 ** 20;
const SIZE = 64 * MIB;
const EXTENT = MIB;
const CONFIG = [
  'devices { dir="/dev" scan=["/dev"] filter=["a|^/dev/loop|","r|.*|"] use_devicesfile=0 }',
  'global { activation=0 locking_type=1 use_lvmpolld=0 event_activation=0 }',
  'backup { backup=0 archive=0 }',
].join(' ');

const MISSING = missingTools('lvm', 'losetup', 'mke2fs');
const GROUP = `ringwall${process.pid}`;
/** Where LVM puts the first extent of the volume that holds files. */
const SYSTEM_EXTENT = 10;

function loopDevice(path: string): string | undefined {
  try {
    return runTool(['losetup', '--find', '--show', path]).toString().trim();
  } catch {
    return undefined;
  }
}

describe.skipIf(MISSING !== '' || process.getuid?.() !== 0)(`readVolumeGroup() on groups of LVM${MISSING}`, () => {
  const folder = new TemporaryFolder();
  const paths = [folder.at('pv0'), folder.at('pv1')] as const;
  const devices: string[] = [];
  const lvm = (...args: readonly string[]): string => {
    const [command = '', ...rest] = args;
    return runTool(['lvm', command, '--config', CONFIG, ...rest]).toString();
  };

  beforeAll(() => {
    for (const path of paths) {
      runTool(['truncate', '-s', String(SIZE), path]);
      const device = loopDevice(path);
      if (device !== undefined) devices.push(device);
    }
    const [first = '', second = ''] = devices;
    lvm('pvcreate', '-q', ...devices);
    lvm('vgcreate', '-q', '-s', '1m', GROUP, ...devices);
    const create = ['lvcreate', '-q', '-an', '-Zn', '-Wn'];
    lvm(...create, '-l', '5', '-n', 'first', GROUP, first);
    lvm(...create, '-l', '3', '-n', 'between', GROUP, first);
    lvm(...create, '-l', '4', '-n', 'far', GROUP, second);
    lvm('lvextend', '-q', '-l', '+2', `${GROUP}/first`, first);
    lvm('lvextend', '-q', '-l', '+6', `${GROUP}/first`, second);
    lvm(...create, '-l', '4', '-n', 'system', GROUP, first);
    lvm(...create, '--type', 'striped', '-i', '2', '-l', '4', '-n', 'stripes', GROUP);
    for (const device of devices) runTool(['losetup', '-d', device]);
    // Every extent begins with its volume and number.
    for (const [index, path] of paths.entries()) {
      const descriptor = openSync(path, 'r+');
      for (let extent = 0; extent < 60; extent += 1)
        writeSync(descriptor, `pv${index} ${extent}\n`, (1 + extent) * EXTENT);
      closeSync(descriptor);
    }
    putFiles(paths[0], (1 + SYSTEM_EXTENT) * EXTENT);
  });

  afterAll(() => folder[Symbol.dispose]());

  /** A file system of four extents, where one volume lies. */
  function putFiles(path: string, offset: number): void {
    mkdirSync(folder.at('files'));
    writeFileSync(folder.at('files', 'hello'), 'from a logical volume');
    runTool(['mke2fs', '-q', '-t', 'ext4', '-d', folder.at('files'), folder.at('system'), '4m']);
    const descriptor = openSync(path, 'r+');
    writeSync(descriptor, readFileSync(folder.at('system')), 0, undefined, offset);
    closeSync(descriptor);
  }

  function extentsOf(name: string, sources: readonly FileSource[]): string[] {
    const volume = readVolumeGroup(sources).volumes.find((candidate) => candidate.name === name);
    const disk = volume?.open();
    return Array.from({ length: (volume?.size ?? 0) / EXTENT }, (_, extent) => {
      const text = Buffer.from(disk?.read(extent * EXTENT, 12) ?? []).toString();
      return text.slice(0, text.indexOf('\n'));
    });
  }

  test('finds the bytes of each volume, over several disks', () => {
    using first = FileSource.open(paths[0]);
    using second = FileSource.open(paths[1]);
    expect(recogniseLvm(first)).toBe(true);
    const group = readVolumeGroup([second, first]);
    expect(group.volumes.map(({ name, kinds, visible }) => `${name} ${kinds.join()} ${visible}`)).toEqual([
      'first linear true',
      'between linear true',
      'far linear true',
      'system linear true',
      'stripes striped true',
    ]);
    const run = (volume: number, from: number, count: number): string[] =>
      Array.from({ length: count }, (_, index) => `pv${volume} ${from + index}`);
    expect(extentsOf('first', [first, second])).toEqual([...run(0, 0, 5), ...run(0, 8, 2), ...run(1, 4, 6)]);
    expect(extentsOf('between', [first])).toEqual(run(0, 5, 3));
    expect(extentsOf('far', [first, second])).toEqual(run(1, 0, 4));
  });

  test('openDisk() reads files out of a volume, and says what of the group it cannot read', () => {
    using first = FileSource.open(paths[0]);
    const { volumes, notes } = openDisk(first);
    const names = volumes.map(({ name, place, size }) => `${name}, ${place}, ${size / EXTENT} MiB`);
    expect(names).toEqual([
      '1, the whole disk, 64 MiB',
      `${GROUP}/between, logical volume (linear), 3 MiB`,
      `${GROUP}/system, logical volume (linear), 4 MiB`,
    ]);
    const system = volumes.at(-1)?.contents;
    if (system?.kind !== 'file-system') throw new Error(`${GROUP}/system is ${system?.kind}`);
    const hello = openPath(system.fileSystem, '/hello').open();
    expect(Buffer.from(hello.read(0, hello.size)).toString()).toBe('from a logical volume');
    expect(notes).toEqual([
      expect.stringMatching(
        /^the logical volume ringwall\d+\/first cannot be read: volume first needs physical volume/,
      ),
      expect.stringMatching(/^the logical volume ringwall\d+\/far cannot be read: volume far needs physical volume/),
      expect.stringMatching(/^the logical volume ringwall\d+\/stripes cannot be read: .*striped/),
    ]);
  });

  test('names what is not read, and what is not there', () => {
    using first = FileSource.open(paths[0]);
    const open = (name: string): unknown =>
      readVolumeGroup([first])
        .volumes.find((volume) => volume.name === name)
        ?.open();
    expect(() => open('stripes')).toThrow(/striped of volume stripes, which is not read here/);
    expect(() => open('far')).toThrow(/needs physical volume \S{38}, which is not there/);
  });
});
