import { expect, test } from 'vitest';
import * as disk from './index.ts';

test('the public names of @ringwall/disk', () => {
  expect(Object.keys(disk).toSorted()).toEqual([
    'DISK_ERROR_CODES',
    'DiskError',
    'EXPOSURE_CATEGORIES',
    'EXPOSURE_RULES',
    'IMAGE_FORMATS',
    'inspectFiles',
    'memorySource',
    'openErofs',
    'openExt',
    'openImage',
    'openSquashfs',
    'parseImageHeader',
    'passwordKind',
    'recogniseExt',
    'scoreOf',
    'windowOf',
  ]);
});
