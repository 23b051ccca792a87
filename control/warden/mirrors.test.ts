import { rmSync, writeFileSync } from 'node:fs';
import { newMachineId, type MachineId } from '@ringwall/api';
import { tapName } from '@ringwall/host/network';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { failing } from './testing/fake-parts.ts';
import { member, NetworkScene } from './testing/network-scene.ts';
import { ask, needsRoot } from './testing/scene.ts';

describe.skipIf(needsRoot)('mirrors of a warden’s networks', () => {
  let scene: NetworkScene;
  beforeEach(async () => {
    scene = await NetworkScene.open();
  });
  afterEach(async () => {
    await scene.end();
  });

  test('mirror the cables that were asked for, as long as root allows it, also after a restart', async () => {
    const { machine, boot } = await scene.running();
    const other = newMachineId();
    await scene.apply([member(machine), { ...member(other, 2), mac: '02:00:5e:00:00:02' }]);
    await scene.admit({ machine, boot });
    const { mirrorConsent } = scene.host.layout;
    const set = (machines: 'all' | MachineId[]) =>
      ask<'set-mirror'>(scene.warden, { op: 'set-mirror', network: scene.network, machines });
    const show = () => ask<'show-mirror'>(scene.warden, { op: 'show-mirror', network: scene.network });
    await expect(set('all')).rejects.toMatchObject({
      code: 'unauthorized',
      hint: expect.stringContaining(mirrorConsent),
    });
    expect(scene.standing?.mirrored.size).toBe(0);

    writeFileSync(mirrorConsent, '');
    await expect(set([newMachineId()])).rejects.toMatchObject({ code: 'not-found' });
    // The other one is not connected: it is mirrored as soon as it is.
    expect(await set([machine, other])).toMatchObject({
      machines: [machine, other],
      mirrored: [machine],
      allowed: true,
    });
    expect([...(scene.standing?.mirrored ?? [])]).toEqual([tapName(machine)]);
    await scene.reopen();
    expect(await show()).toMatchObject({ machines: [machine, other], mirrored: [machine], interface: 'ids0' });

    rmSync(mirrorConsent);
    await scene.warden.sweep(false);
    expect(scene.standing?.mirrored.size).toBe(0);
    expect(await show()).toMatchObject({ machines: [], mirrored: [], allowed: false });
    expect(scene.log()).toContain('root allows no mirrors any more');
    expect(await set([])).toMatchObject({ machines: [] });
  });

  test('connect machines although their mirror fails, and say so', async () => {
    const { machine } = await scene.admitted();
    writeFileSync(scene.host.layout.mirrorConsent, '');
    scene.host.before = failing('networks.mirror', new Error('no such filter'));
    await expect(
      ask<'set-mirror'>(scene.warden, { op: 'set-mirror', network: scene.network, machines: 'all' }),
    ).rejects.toThrow('no such filter');
    expect(scene.isOn(machine)).toBe(true);
  });
});
