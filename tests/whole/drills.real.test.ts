// Every drill: the attack works against the plain component and fails against Ringwall.
import { drills, runDrills, type DrillResult } from '@ringwall/drills';
import { beforeAll, describe, expect, test } from 'vitest';

describe('ringwall drill', () => {
  let results: DrillResult[];
  beforeAll(async () => {
    results = await runDrills(drills);
  });

  test.each(drills.map(({ name }) => name))('%s is stopped', (name) => {
    const result = results.find((other) => other.name === name);
    expect(result?.error).toBeUndefined();
    expect(result?.without.filter(({ succeeded }) => !succeeded)).toEqual([]);
    expect(result?.with.filter(({ succeeded }) => succeeded)).toEqual([]);
    expect(result?.outcome).toBe('stopped');
  });
});
