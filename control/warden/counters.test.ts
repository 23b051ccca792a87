import { newNetworkId } from '@ringwall/api';
import { tapName } from '@ringwall/host/network';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NetworkScene } from './testing/network-scene.ts';
import { ask, needsRoot } from './testing/scene.ts';

describe.skipIf(needsRoot)('counters of a warden’s networks', () => {
  let scene: NetworkScene;
  beforeEach(async () => {
    scene = await NetworkScene.open();
  });
  afterEach(async () => {
    await scene.end();
  });

  test('say what was counted by machine, and leave out interfaces that are nobody’s', async () => {
    const { machine } = await scene.running();
    const network4 = scene.standing;
    if (network4 === undefined) throw new Error('it does not stand');
    const count = { packets: 2, bytes: 120 };
    network4.counts = {
      refused: new Map([['spoofed', count]]),
      refusedFrom: new Map([['tnobody', new Map([['spoofed', count]])]]),
      putBack: 2,
      decisions: [
        { rules: [{ name: 'all', action: 'allow' }], connections: 1 },
        { rules: [{ name: 'none', action: 'deny' }], connections: 0 },
        { rules: [{ name: 'most', action: 'allow' }], connections: 9 },
      ],
      cables: new Map([
        [tapName(machine), { sent: count, received: count, late: 3 }],
        ['lo', { sent: count, received: count, late: 0 }],
      ]),
    };
    expect(await ask<'count-network'>(scene.warden, { op: 'count-network', network: scene.network })).toEqual({
      refused: [{ reason: 'spoofed', ...count }],
      rules: [
        { rules: [{ name: 'most', action: 'allow' }], connections: 9 },
        { rules: [{ name: 'all', action: 'allow' }], connections: 1 },
      ],
      putBack: 2,
      machines: [{ machine, sent: count, received: count, late: 3, refused: [] }],
    });
    await expect(
      ask<'count-network'>(scene.warden, { op: 'count-network', network: newNetworkId() }),
    ).rejects.toMatchObject({
      code: 'not-found',
    });
  });
});
