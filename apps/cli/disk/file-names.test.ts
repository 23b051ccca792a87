import { expect, it } from 'vitest';
import { shownName } from './file-names.ts';

it.each([
  ['plain', 'plain'],
  ['two\nlines', String.raw`two\nlines`],
  ['\u001b[2J', String.raw`\x1b[2J`],
  ['caf\udce9', String.raw`caf\xe9`],
  ['back\\slash', String.raw`back\\slash`],
  ['\u202etxt.exe', 'txt.exe'],
  ['grün', 'grün'],
])('shownName(%j) is %s', (name, shown) => {
  expect(shownName(name)).toBe(shown);
});
