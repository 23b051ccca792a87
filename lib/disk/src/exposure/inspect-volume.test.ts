import { describe, expect, test } from 'vitest';
import { memoryFileSystem } from '../../testing/memory-file-system.ts';
import type { VolumeContents } from '../open-disk.ts';
import type { RecognisedFormat } from '../recognised.ts';
import { memorySource } from '../source/byte-source.ts';
import { inspectVolume, type VolumeExposure } from './inspect-volume.ts';

function inspect(contents: VolumeContents): VolumeExposure {
  const source = memorySource(new Uint8Array(512));
  return inspectVolume({ name: '1', place: 'the whole disk', size: source.size, source, contents });
}

function recognised(format: RecognisedFormat, encrypted: boolean): VolumeContents {
  return { kind: 'recognised', recognised: { format, label: '', uuid: '', encrypted, hibernated: false } };
}

describe('inspectVolume()', () => {
  test.each<[string, VolumeContents]>([
    ['what nothing here reads', recognised('btrfs', false)],
    ['what nobody knows', { kind: 'unknown', dataAt: 0 }],
    ['a damaged file system', { kind: 'damaged', format: 'ext', message: 's_log_block_size 40' }],
  ])('does not pass over %s as if a thief had nothing of it', (_, contents) => {
    expect(inspect(contents)).toMatchObject({ finds: [], unread: true });
  });

  test.each<[string, VolumeContents]>([
    ['nothing', { kind: 'zeros' }],
    ['what is encrypted', recognised('bitlocker', true)],
    ['a part of LVM, whose volumes follow', recognised('lvm', false)],
    ['a file system', { kind: 'file-system', fileSystem: memoryFileSystem({ '/a': 'b' }) }],
  ])('has read %s', (_, contents) => {
    expect(inspect(contents)).toMatchObject({ finds: [], unread: false });
  });

  test('counts swap as memory that was paged out', () => {
    const { finds, unread } = inspect(recognised('swap', false));
    expect([finds.map(({ rule }) => rule.id), unread]).toEqual([['swap'], false]);
  });
});
