import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { newNetworkId, type NetworkId } from '@ringwall/api';
import { parseAddress, parseRange, rangeHas } from '@ringwall/netpolicy';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { networkLayout } from './layout.ts';
import { ask, needsRoot, Scene } from './testing/scene.ts';
import type { Warden } from './warden.ts';

const SETTING = {
  version: 1,
  uplink: { interface: 'eth1' },
  addresses: ['198.51.100.2/24'],
  gateways: ['198.51.100.1'],
  resolvers: ['9.9.9.9'],
  never: ['203.0.113.0/24'],
};
const ALL_OUT = { name: 'out', action: 'allow', from: 'any', to: 'any', services: ['any'] };

describe.skipIf(needsRoot)('the way out of a warden’s networks', () => {
  let scene: Scene;
  let warden: Warden;
  const [open, shut]: readonly [NetworkId, NetworkId] = [newNetworkId(), newNetworkId()];
  beforeEach(async () => {
    scene = new Scene();
    warden = await scene.openWarden();
    await apply(open, '10.21.0.0/24', 'nat');
    await apply(shut, '10.22.0.0/24', 'none');
    await warden.sweep(false);
  });
  afterEach(async () => {
    await scene.end();
  });

  const apply = (network: NetworkId, range: string, internet: string): Promise<unknown> => {
    const definition = { name: `n${range.slice(3, 5)}`, addresses: [range], internet, rules: [ALL_OUT] };
    return ask<'apply-network'>(warden, { op: 'apply-network', network, definition, machines: [] });
  };
  const say = async (setting: unknown, mode = 0o600): Promise<void> => {
    const { egress } = scene.host.layout;
    writeFileSync(egress, typeof setting === 'string' ? setting : JSON.stringify(setting), { mode });
    chmodSync(egress, mode);
    await warden.sweep(false);
  };
  const status = async () => (await ask<'list-networks'>(warden, { op: 'list-networks' })).wayOut;
  const standing = (network: NetworkId) => {
    const { pin } = networkLayout(scene.host.layout, network);
    return scene.host.networks.standing.get(pin);
  };
  const leadsTo = (...texts: readonly string[]): boolean[] =>
    texts.map(
      (text) =>
        standing(open)?.outside.some((range) => rangeHas(parseRange(range, ''), parseAddress(text, ''))) === true,
    );
  const told = () => scene.host.networks.out?.networks.map(({ id }) => id);

  test('is none until root has written one, and then one for the networks that lead out', async () => {
    expect(told()).toBeUndefined();
    expect(await status()).toEqual({ state: 'off', setting: scene.host.layout.egress });
    expect(standing(open)?.resolvers).toEqual([]);
    await say(SETTING);
    expect(told()).toEqual([open]);
    expect(await status()).toMatchObject({ state: 'on', addresses: ['198.51.100.2'], resolvers: ['9.9.9.9'] });
    expect([standing(open)?.resolvers, standing(shut)?.resolvers]).toEqual([['9.9.9.9'], []]);
    expect(scene.log()).toContain('the way out: is eth1, under 198.51.100.2 past 198.51.100.1, names by 9.9.9.9');
  });

  test('leads past its own link, what root keeps from machines, and other networks', async () => {
    expect(leadsTo('198.51.100.9', '203.0.113.9', '10.22.0.9', '192.0.2.9')).toEqual([true, true, false, true]);
    await say(SETTING);
    expect(leadsTo('198.51.100.9', '203.0.113.9', '10.22.0.9', '192.0.2.9')).toEqual([false, false, false, true]);
    const ranges = scene.host.networks.out?.protectedRanges ?? [];
    expect(
      ['10.21.0.1', '10.22.0.1'].map((text) => ranges.some((range) => rangeHas(range, parseAddress(text, '')))),
    ).toEqual([true, true]);
  });

  test('is counted for networks that get out, while there is one', async () => {
    const sent = { packets: 3, bytes: 180 };
    const [known, never] = [
      { packets: 1, bytes: 60 },
      { packets: 0, bytes: 0 },
    ];
    const refused = new Map([['protected', known] as const, ['spoofed', never] as const]);
    scene.host.networks.counted = { sent, received: known, refused };
    const count = async (network: NetworkId) =>
      (await ask<'count-network'>(warden, { op: 'count-network', network })).out;
    expect(await count(open)).toBeUndefined();
    await say(SETTING);
    expect(await count(open)).toEqual({ sent, received: known, refused: [{ reason: 'protected', ...known }] });
    expect(await count(shut)).toBeUndefined();
    rmSync(scene.host.layout.egress);
    await warden.sweep(false);
    expect(await count(open)).toBeUndefined();
  });

  test.each([
    ['is not root’s alone to write', SETTING, 0o622, 'is not root'],
    ['is no JSON', '{', 0o600, 'egress.json: '],
    ['has a key that nobody knows', { ...SETTING, nat: true }, 0o600, 'has the unknown key "nat"'],
    ['has an interface that is syntax', { ...SETTING, uplink: { interface: 'e*' } }, 0o600, 'no interface'],
    ['has no router', { ...SETTING, gateways: [] }, 0o600, 'gateways: has none for 198.51.100.2'],
  ])('closes where the file %s, and says so', async (_, setting, mode, word) => {
    await say(SETTING);
    await say(setting, mode);
    expect(told()).toBeUndefined();
    expect(standing(open)?.resolvers).toEqual([]);
    expect(await status()).toMatchObject({ state: 'broken', trouble: expect.stringContaining(word) });
    expect(scene.log()).toContain('the way out: closed: ');
    await say(SETTING);
    expect(told()).toEqual([open]);
  });

  test('ends with the file, with a network, and stands again with the next warden', async () => {
    await say(SETTING);
    await warden.close();
    scene.host.networks.out = undefined;
    warden = await scene.openWarden();
    expect(told()).toEqual([open]);
    await ask<'remove-network'>(warden, { op: 'remove-network', network: open });
    expect(told()).toEqual([]);
    rmSync(scene.host.layout.egress);
    await warden.sweep(false);
    expect(told()).toBeUndefined();
    expect(scene.log()).toContain('the way out: switched off');
  });
});
