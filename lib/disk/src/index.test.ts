import { expect, test } from 'vitest';
import * as disk from './index.ts';

test('the public names of @ringwall/disk', () => {
  expect(Object.keys(disk).toSorted()).toEqual([
    'DISK_ERROR_CODES',
    'DiskError',
    'EXPOSURE_CATEGORIES',
    'EXPOSURE_RULES',
    'inspectFiles',
    'memorySource',
    'openErofs',
    'openExt',
    'openSquashfs',
    'passwordKind',
    'recogniseExt',
    'scoreOf',
    'windowOf',
  ]);
});
