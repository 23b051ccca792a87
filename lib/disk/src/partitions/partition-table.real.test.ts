// Tables written by sgdisk.
import { afterAll, describe, expect, test } from 'vitest';
import { missingTools, runTool, TemporaryFolder } from '../../testing/tools.ts';
import { FileSource } from '../node/file-source.ts';
import { readPartitionTable } from './partition-table.ts';

const MISSING = missingTools('sgdisk', 'truncate');
const MIB = 2 ** 20;

describe.skipIf(MISSING !== '')(`readPartitionTable() on disks of sgdisk${MISSING}`, () => {
  const folder = new TemporaryFolder();
  afterAll(() => folder[Symbol.dispose]());

  function disk(...options: readonly string[]): string {
    const path = folder.at('disk');
    runTool(['rm', '-f', path]);
    runTool(['truncate', '-s', '64M', path]);
    runTool(['sgdisk', ...options, path]);
    return path;
  }

  const TWO = ['-n', '1:1M:+8M', '-t', '1:ef00', '-c', '1:EFI', '-n', '7:16M:+4M', '-c', '7:daten'];

  test('a GPT', () => {
    using source = FileSource.open(disk(...TWO, '-U', '12345678-9ABC-4EF0-8234-56789ABCDEF0'));
    const table = readPartitionTable(source);
    expect(table).toMatchObject({ scheme: 'gpt', id: '12345678-9abc-4ef0-8234-56789abcdef0', notes: [] });
    expect(table?.partitions.map(({ number, name, offset, length }) => [number, name, offset, length])).toEqual([
      [1, 'EFI', MIB, 8 * MIB],
      [7, 'daten', 16 * MIB, 4 * MIB],
    ]);
    expect(table?.partitions[0]?.type).toBe('c12a7328-f81f-11d2-ba4b-00a0c93ec93b');
  });

  test('a GPT whose first header was overwritten', () => {
    const path = disk(...TWO);
    runTool(['dd', 'if=/dev/zero', `of=${path}`, 'bs=512', 'seek=1', 'count=33', 'conv=notrunc', 'status=none']);
    using source = FileSource.open(path);
    expect(readPartitionTable(source)?.partitions.length).toBe(2);
  });

  test('an MBR made of a GPT', () => {
    using source = FileSource.open(disk(...TWO, '-m', '1:7'));
    const table = readPartitionTable(source);
    expect(table?.scheme).toBe('mbr');
    expect(table?.partitions.map(({ type, offset, length }) => [type, offset, length])).toEqual([
      ['ef', MIB, 8 * MIB],
      ['83', 16 * MIB, 4 * MIB],
    ]);
  });
});
