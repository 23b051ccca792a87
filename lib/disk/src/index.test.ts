import { expect, test } from 'vitest';
import * as disk from './index.ts';

test('the public names of @ringwall/disk', () => {
  expect(Object.keys(disk).toSorted()).toEqual([
    'DISK_ERROR_CODES',
    'DiskError',
    'EXPOSURE_CATEGORIES',
    'EXPOSURE_RULES',
    'IMAGE_FORMATS',
    'IMPORT_REFUSALS',
    'MAX_IMPORTED_DISK_BYTES',
    'contentsOf',
    'encodeFileName',
    'inspectFiles',
    'judgeImport',
    'memorySource',
    'openDisk',
    'openErofs',
    'openExt',
    'openFat',
    'openImage',
    'openOva',
    'openPartition',
    'openPath',
    'openSquashfs',
    'parseImageHeader',
    'passwordKind',
    'readPartitionTable',
    'readTextAt',
    'recognise',
    'recogniseExt',
    'recogniseOva',
    'scoreOf',
    'windowOf',
  ]);
});
