import { describe, expect, it } from 'vitest';
import type { DrillResult } from './drill.ts';
import { judgeDrill, runRounds } from './runner.ts';

const won = { what: 'read the canary', succeeded: true, seen: 'canary' };
const lost = { what: 'read the canary', succeeded: false, seen: 'nothing' };

describe('judgeDrill()', () => {
  it.each([
    { claim: 'the attack works only without us', without: [won], with: [lost, lost], outcome: 'stopped' },
    { claim: 'one attempt works with us', without: [won], with: [lost, won], outcome: 'not stopped' },
    { claim: 'an attempt fails without us', without: [won, lost], with: [lost], outcome: 'void' },
    { claim: 'nothing was tried without us', without: [], with: [lost], outcome: 'void' },
    { claim: 'nothing was tried with us', without: [won], with: [], outcome: 'void' },
  ])('says $outcome where $claim', ({ without, with: withRingwall, outcome }) => {
    expect(judgeDrill(without, withRingwall)).toBe(outcome);
  });
});

describe('runRounds()', () => {
  const round = (provesNothing: boolean, outcome: DrillResult['outcome']) => {
    const told = { name: 'one', title: 'One', adversaries: [], inPart: [] };
    return { ...told, outcome, without: [won], with: [lost], seconds: 2, provesNothing };
  };
  const run = async (outcomes: readonly ReturnType<typeof round>[], drill: Parameters<typeof runRounds>[0] = {}) => {
    const steps: string[] = [];
    const left = [...outcomes];
    const result = await runRounds(
      drill,
      (what) => steps.push(what),
      async () => left.shift() ?? round(false, 'error'),
    );
    return { result, steps, left: left.length };
  };
  const [nothing, error, stopped] = [round(true, 'void'), round(false, 'error'), round(false, 'stopped')];

  it('runs what proves nothing again, and says how often it was', async () => {
    const { result, steps } = await run([nothing, stopped]);
    expect(result).toMatchObject({ outcome: 'stopped', rounds: 2, seconds: 4 });
    expect(result).not.toHaveProperty('provesNothing');
    expect(steps).toEqual(['the attack did not work without Ringwall: this proves nothing; once more']);
  });

  it.each([
    ['three rounds', [nothing, nothing, nothing, stopped], {}, 1, 'void'],
    ['an error', [error, stopped], {}, 1, 'error'],
    ['an attack that worked', [round(false, 'not stopped'), stopped], {}, 1, 'not stopped'],
    ['one after which the victim is gone', [nothing, stopped], { leavesVictim: 'removed' }, 1, 'void'],
  ] as const)('leaves it at %s', async (_, rounds, drill, left, outcome) => {
    expect(await run(rounds, drill)).toMatchObject({ result: { outcome }, left });
  });
});
