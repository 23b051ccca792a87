import { expect, it } from 'vitest';
import { drills } from './index.ts';

it('no drill claims to stop root on the host but in one step', () => {
  expect(drills.filter(({ adversaries }) => adversaries.includes('A6')).map(({ name }) => name)).toEqual([]);
  for (const { name, adversaries, inPart = [] } of drills) {
    expect(
      inPart.filter(({ adversary }) => adversaries.includes(adversary)),
      name,
    ).toEqual([]);
  }
});
