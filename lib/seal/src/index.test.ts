import { expect, test } from 'vitest';
import * as seal from './index.ts';

test('the public names of @ringwall/seal', () => {
  expect(Object.keys(seal).toSorted()).toEqual([
    'CIPHERS',
    'DEFAULT_CHUNK_BYTES',
    'KEY_BYTES',
    'MAX_CHUNK_BYTES',
    'MAX_RECIPIENTS',
    'MIN_CHUNK_BYTES',
    'PAGE_BYTES',
    'SEAL_ERROR_CODES',
    'SealError',
    'X25519_KEY_BYTES',
    'idOf',
    'makeKeyPair',
    'openSealed',
    'openWith',
    'publicKeyOf',
    'readObjectHead',
    'rewrap',
    'scrub',
    'sealStream',
    'sealTo',
  ]);
});
