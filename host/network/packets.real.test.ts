// Packets, not models: random policies are put up between namespaces that stand for machines, every one of them sends to every other
// by each protocol, and what arrives is what the model says.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileNetwork } from '@ringwall/netpolicy';
import { Walls } from './index.ts';
import { arrivals, drawCases, EVERYBODY, JOURNEYS, listenAll, told } from './testing/journeys.ts';
import { NEEDS_PACKETS, Testbed } from './testing/testbed.ts';

const ROUNDS = 8;

let bed: Testbed | undefined;
beforeAll(async () => {
  if (NEEDS_PACKETS !== '') return;
  bed = await Testbed.open(EVERYBODY);
  await listenAll(bed.stations);
});
afterAll(async () => {
  await bed?.[Symbol.asyncDispose]();
});

describe.skipIf(NEEDS_PACKETS !== '')(`packets between machines${NEEDS_PACKETS}`, () => {
  test('arrive everywhere where there are no walls: what follows is no accident of the cables', async () => {
    if (bed === undefined) throw new Error('no testbed');
    expect(told(await arrivals(bed.stations, JOURNEYS))).toEqual(told(JOURNEYS));
  });

  test('arrive where the model says and nowhere else, under random policies', async () => {
    if (bed === undefined) throw new Error('no testbed');
    const walls = new Walls(bed.inside);
    let passed = 0;
    for (const { policy, network, machines, allowed } of drawCases(ROUNDS)) {
      await walls.change(compileNetwork(network, machines));
      expect(told(await arrivals(bed.stations, allowed)), JSON.stringify(policy)).toEqual(told(allowed));
      passed += allowed.length;
    }
    // A run in which nothing is ever allowed would prove little.
    expect(passed).toBeGreaterThan(JOURNEYS.length);
  });
});
