import { describe, expect, it } from 'vitest';
import { judgeDrill } from './runner.ts';

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
