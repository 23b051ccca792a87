import { rmSync } from 'node:fs';
import { tapName } from '@ringwall/host/network';
import { DEFAULT_SHARE } from '@ringwall/netpolicy';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { failing, Killed } from './testing/fake-parts.ts';
import { definition, member, NetworkScene } from './testing/network-scene.ts';
import { needsRoot } from './testing/scene.ts';

describe.skipIf(needsRoot)('networks of a warden, where something fails or was changed', () => {
  let scene: NetworkScene;
  beforeEach(async () => {
    scene = await NetworkScene.open();
  });
  afterEach(async () => {
    await scene.end();
  });

  test('are as they were when the warden was killed, for the machines that still run', async () => {
    const { machine } = await scene.admitted();
    await scene.warden.close();
    await scene.reopen();
    expect(scene.isOn(machine)).toBe(true);
    expect(await scene.networks()).toMatchObject([{ connected: [machine] }]);

    await scene.warden.close();
    scene.host.processes.clear();
    await scene.reopen();
    expect(scene.isOn(machine)).toBe(false);
  });

  test('stand again after a reboot of the host, with nobody on them', async () => {
    const { machine, boot } = await scene.admitted();
    await scene.warden.close();
    scene.host.networks.standing.clear();
    scene.host.processes.clear();
    scene.host.bootId = 'next-boot';
    rmSync(scene.host.layout.run, { recursive: true });
    await scene.reopen();
    expect(scene.standing).toMatchObject({ ruled: [] });
    expect(scene.isOn(machine)).toBe(false);
    await scene.start(machine, boot);
  });

  test('whose walls cannot be raised when the warden starts are raised as soon as they can be', async () => {
    const { machine } = await scene.admitted();
    await scene.warden.close();
    scene.host.before = failing('networks.load', new Error('nft is killed'));
    await scene.reopen();
    expect(await scene.networks()).toMatchObject([{ walls: 'missing', trouble: 'nft is killed' }]);
    scene.host.before = () => undefined;
    await scene.warden.sweep(false);
    expect(scene.isOn(machine)).toBe(true);
  });

  test.each(['networks.cut', 'networks.load'])(
    'killed in %s, a dismissal is finished by the next warden',
    async (effect) => {
      const { machine } = await scene.admitted();
      scene.host.before = failing(effect, new Killed());
      await expect(scene.dismiss(machine)).rejects.toThrow(Killed);
      scene.host.before = () => undefined;
      await scene.warden.close();
      await scene.reopen();
      expect(scene.isOn(machine)).toBe(false);
    },
  );

  test('cut a cable also where the walls cannot be changed, and change them when they can', async () => {
    const { machine } = await scene.admitted();
    scene.host.before = failing('networks.load', new Error('nft refuses'));
    await expect(scene.dismiss(machine)).rejects.toThrow('nft refuses');
    expect(scene.standing?.connected.size).toBe(0);
    // Nor does whoever looks after cables bring it back.
    await scene.warden.sweep(false);
    expect(scene.standing?.connected.size).toBe(0);
    expect(await scene.networks()).toMatchObject([{ trouble: 'nft refuses' }]);
    scene.host.before = () => undefined;
    await scene.warden.sweep(false);
    expect(scene.isOn(machine)).toBe(false);
  });

  test('dismiss a machine also with rules that are refused', async () => {
    const { machine } = await scene.admitted();
    const refused = { ...definition(), addresses: ['127.0.0.0/8'] };
    await expect(scene.apply([member(machine)], refused)).rejects.toMatchObject({ code: 'policy-invalid' });
    expect(scene.isOn(machine)).toBe(false);
  });

  test('keep the old rules, also on the disk, where new ones are refused', async () => {
    const { machine } = await scene.running();
    scene.host.before = failing('networks.load', new Error('nft refuses'));
    await expect(scene.apply([member(machine)], definition(['tcp/81']))).rejects.toThrow('nft refuses');
    scene.host.before = () => undefined;
    await expect(scene.apply([member(machine)], { ...definition(), rules: [{ name: 'x' }] })).rejects.toMatchObject({
      code: 'policy-invalid',
      message: 'networks[0].rules[0].action: is missing',
    });
    expect(await scene.apply([member(machine)])).toMatchObject({ walls: 'kept' });
  });

  test('that could not be made whole are looked after by nobody, until they are', async () => {
    scene.host.before = failing('networks.connect', new Error('no bridges here'));
    await expect(scene.apply([])).rejects.toThrow('no bridges here');
    expect(scene.standing?.lookedAfter).toBe(0);
    scene.host.before = () => undefined;
    await scene.apply([]);
    expect(scene.standing?.lookedAfter).toBe(1);
  });

  test('put back what somebody did to cables, shares and namespaces, and tell of a tap that is gone', async () => {
    const { machine } = await scene.admitted();
    scene.standing?.connected.clear();
    await scene.warden.sweep(false);
    expect(scene.isOn(machine)).toBe(true);

    scene.standing?.shares.clear();
    await scene.warden.sweep(false);
    expect(scene.standing?.shares.get(tapName(machine))).toEqual(DEFAULT_SHARE);
    expect(scene.log().match(/cables were changed by somebody else; they are put back: /g)).toHaveLength(2);

    scene.standing?.gone.add(tapName(machine));
    await scene.warden.sweep(false);
    expect(await scene.networks()).toMatchObject([
      { connected: [], trouble: `no cable until the next start: ${machine}` },
    ]);

    scene.host.networks.standing.clear();
    await scene.warden.sweep(false);
    expect(scene.isOn(machine)).toBe(true);
  });
});
