import { expect, test } from 'vitest';
import * as bytes from './index.ts';

test('the public names of @ringwall/bytes', () => {
  expect(Object.keys(bytes).toSorted()).toEqual([
    'BoundedMap',
    'Cursor',
    'KnownBytes',
    'PARSE_ERROR_CODES',
    'ParseError',
    'Writer',
    'concatBytes',
    'equalBytes',
    'firstNonZero',
    'fromHex',
    'toHex',
    'unshared',
    'utf8',
  ]);
});
