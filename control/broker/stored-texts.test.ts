import { defaultPolicy, policyJson } from '@ringwall/evidence';
import { describe, expect, test } from 'vitest';
import { storedPolicy, storedReference } from './stored-texts.ts';

const text = JSON.stringify(policyJson(defaultPolicy));

describe('storedPolicy()', () => {
  test('reads a text once, and another text anew', () => {
    expect(storedPolicy(text)).toBe(storedPolicy(text));
    const other = JSON.stringify({ ...policyJson(defaultPolicy), pcrs: [0], untouchedPcrs: [] });
    expect(storedPolicy(other).pcrs).toEqual([0]);
    expect(storedPolicy(text).pcrs).toEqual(defaultPolicy.pcrs);
  });

  test('what it gives cannot be changed for the next', () => {
    expect(() => Object.assign(storedPolicy(text), { pcrs: [] })).toThrow(TypeError);
  });
});

test('storedReference() refuses what is none, each time', () => {
  for (let time = 0; time < 2; time += 1) expect(() => storedReference('{}')).toThrow('reference');
});
