import { expect, test } from 'vitest';
import { decodeFindings, encodeFindings } from './verdict-record.ts';

const WHOLE = {
  rule: 'a',
  severity: 'high',
  message: '“b”\n',
  fix: '',
  path: 'etc/x',
  layer: 1,
  hiddenBy: undefined,
  references: ['CVE-2024-1'],
  subject: '',
} as const;

test('findings are read as they were written', () => {
  expect(decodeFindings(encodeFindings([WHOLE, { ...WHOLE, layer: undefined, hiddenBy: 3 }]))).toEqual([
    WHOLE,
    { ...WHOLE, layer: undefined, hiddenBy: 3 },
  ]);
});

test.each(Object.keys(WHOLE).filter((field) => field !== 'hiddenBy'))('a record with an odd %s is refused', (field) => {
  expect(() => decodeFindings(JSON.stringify([{ ...WHOLE, [field]: { odd: true } }]))).toThrow('damaged');
});

test('a record that is no list of findings is refused', () => {
  for (const odd of ['{}', '[1]', 'null', '[null]']) expect(() => decodeFindings(odd)).toThrow('damaged');
});
