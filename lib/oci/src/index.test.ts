import { expect, test } from 'vitest';
import * as oci from './index.ts';

test('the public names of @ringwall/oci', () => {
  expect(Object.keys(oci).toSorted()).toEqual(['OCI_ERROR_CODES', 'OciError']);
});
