import { expect, test } from 'vitest';
import { deviceOfNumber, kindOfMode, permissionsOfMode, wrongKind } from './node-kind.ts';

test('a mode word says kind and permissions', () => {
  expect(kindOfMode(0o100_644)).toBe('file');
  expect(kindOfMode(0o140_777)).toBe('socket');
  expect(kindOfMode(0o170_000)).toBeUndefined();
  expect(permissionsOfMode(0o104_755)).toBe(0o4755);
});

test('a device number has its minor on both sides of its major', () => {
  expect(deviceOfNumber(0x0123_4567)).toEqual({ major: 0x345, minor: 0x1267 });
});

test('wrongKind() says what was there', () => {
  expect(wrongKind('directory', 'file')).toMatchObject({
    code: 'wrong-kind',
    message: 'is a directory, expected a file',
  });
});
